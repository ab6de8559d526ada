/**
 * Vitest reporter of `npm test`: writes totals, and every skipped test with its reason, as
 * JSON to the file that WAFER_TEST_RESULTS names. A file or suite that could not run at all
 * and an error outside of any test count as one failed test each.
 */
import { writeFileSync } from 'node:fs';

export default class Totals {
  onTestRunEnd(modules, unhandledErrors) {
    const totals = { passed: 0, failed: unhandledErrors.length, skipped: [] };
    for (const module of modules) {
      totals.failed += module.errors().length;
      for (const suite of module.children.allSuites()) totals.failed += suite.errors().length;
      for (const test of module.children.allTests()) count(totals, module, test);
    }
    writeFileSync(process.env.WAFER_TEST_RESULTS, JSON.stringify(totals));
  }
}

function count(totals, module, test) {
  const { state, note } = test.result();
  if (state === 'passed') totals.passed += 1;
  else if (state === 'failed') totals.failed += 1;
  // A test that never ended (its file broke, or the run was stopped) is not a pass.
  else if (state === 'pending') totals.failed += 1;
  else totals.skipped.push({ file: module.relativeModuleId, test: test.fullName, reason: note ?? reasonOf(test) });
}

function reasonOf(test) {
  for (let parent = test.parent; parent.type === 'suite'; parent = parent.parent) {
    if (parent.errors().length > 0) return `the hooks of "${parent.name}" failed`;
  }
  return test.options.mode === 'todo' ? 'not written yet' : 'no reason given';
}
