// Decisions per second of @cloud-copilot/iam-simulate on the simulation described on standard input.
// Usage: node bench.mjs NODE_MODULES_DIRECTORY < simulation.json

import { readFileSync } from 'node:fs'
import { load } from './load.mjs'

const { policy, action, resource, context, rounds } = JSON.parse(readFileSync(0, 'utf8'))
const runSimulation = await load(process.argv[2])

const simulation = {
  identityPolicies: [{ name: 'connect', policy }],
  serviceControlPolicies: [],
  resourceControlPolicies: [],
  request: {
    action,
    principal: 'arn:aws:iam::123456789012:user/alice',
    resource: { accountId: '123456789012', resource },
    contextVariables: context
  }
}

const first = await runSimulation(simulation, {})
const answer = first.overallResult ?? first.analysis?.result
if (answer !== 'Allowed') {
  console.error(JSON.stringify(first))
  process.exit(1)
}

let best = 0
for (let round = 0; round < rounds; round++) {
  const start = process.hrtime.bigint()
  let calls = 0
  let elapsed = 0
  while (elapsed < 0.5e9) {
    for (let i = 0; i < 32; i++) await runSimulation(simulation, {})
    calls += 32
    elapsed = Number(process.hrtime.bigint() - start)
  }
  best = Math.max(best, calls / (elapsed / 1e9))
}
console.log(best)
