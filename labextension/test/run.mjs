// Bundles the tests beside this file with what they try, and runs them: `node test/run.mjs`.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { rspack } from '@rspack/core';

import config from '../rspack.config.js';

const here = dirname(fileURLToPath(import.meta.url));
const out = mkdtempSync(join(tmpdir(), 'flyte-jupyter-'));
const tests = readdirSync(here).filter(name => name.endsWith('.test.ts'));
const entries = tests.map(name => [name.replace(/\.ts$/, ''), join(here, name)]);

function bundle() {
  const compiler = rspack({
    ...config,
    mode: 'none',
    target: 'node',
    context: here,
    entry: Object.fromEntries(entries),
    output: { path: out, filename: '[name].cjs' },
    externals: [/^node:/],
    externalsType: 'commonjs'
  });
  return new Promise((resolve, reject) =>
    compiler.run((error, stats) =>
      error || stats.hasErrors()
        ? reject(error ?? new Error(stats.toString({ colors: false })))
        : resolve()
    )
  );
}

try {
  await bundle();
  const files = entries.map(([name]) => join(out, `${name}.cjs`));
  const done = spawnSync(process.execPath, ['--test', ...files], { stdio: 'inherit' });
  process.exitCode = done.status ?? 1;
} finally {
  rmSync(out, { recursive: true });
}
