// @cloud-copilot/iam-simulate's runSimulation, from a node_modules directory anywhere.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

export async function load(nodeModules) {
  const root = join(nodeModules, '@cloud-copilot', 'iam-simulate')
  const { exports: entry, main, module } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const file = entry?.['.']?.import?.default ?? entry?.['.']?.import ?? module ?? main
  const { runSimulation } = await import(pathToFileURL(join(root, file)))
  return runSimulation
}
