// The outcomes of @cloud-copilot/iam-simulate on the cases on standard input, null where it refuses one.
// Usage: node outcomes.mjs NODE_MODULES_DIRECTORY < cases.json

import { readFileSync } from 'node:fs'
import { load } from './load.mjs'

const runSimulation = await load(process.argv[2])
const outcomes = { Allowed: 'allowed', ExplicitlyDenied: 'explicitDeny', ImplicitlyDenied: 'implicitDeny' }

const answers = []
for (const { policy, action, resource, context } of JSON.parse(readFileSync(0, 'utf8'))) {
  let result
  try {
    result = await runSimulation(
      {
        identityPolicies: [{ name: 'policy', policy }],
        serviceControlPolicies: [],
        resourceControlPolicies: [],
        request: {
          action,
          principal: 'arn:aws:iam::123456789012:user/alice',
          resource: { accountId: '123456789012', resource },
          contextVariables: context
        }
      },
      {}
    )
  } catch {
    answers.push(null)
    continue
  }
  answers.push(outcomes[result.overallResult ?? result.analysis?.result] ?? null)
}
console.log(JSON.stringify(answers))
