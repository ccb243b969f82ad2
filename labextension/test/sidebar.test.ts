import assert from 'node:assert/strict';
import { test } from 'node:test';

import { read } from '../src/protocol';
import { goingOn, lasting, magicLine, mentionsFlyte, runLine, sign } from '../src/words';

test('an answer and a snapshot are read, and nothing else', () => {
  const answer = { op: 'answer', id: 3, ok: true, message: 'done', data: { a: 1 } };
  assert.deepEqual(read(answer), answer);
  assert.deepEqual(read({ op: 'answer', id: 3 }), {
    op: 'answer',
    id: 3,
    ok: false,
    message: '',
    data: {}
  });
  const told = read({ op: 'snapshot', part: 'runs', data: { runs: [{ name: 'a' }], trouble: '' } });
  assert.deepEqual(told, {
    op: 'snapshot',
    part: 'runs',
    told: { rows: [{ name: 'a' }], trouble: '' }
  });
  for (const said of [
    null,
    'answer',
    [],
    {},
    { op: 'answer', id: 'three' },
    { op: 'snapshot', part: 'weather', data: { weather: [] } },
    { op: 'snapshot', part: 'runs', data: { runs: ['a'] } },
    { op: 'snapshot', part: 'runs', data: {} }
  ]) {
    assert.equal(read(said), null, JSON.stringify(said));
  }
});

test('times are said as the kernel says them', () => {
  assert.deepEqual(
    [0.02, 1.4, 9.96, 61, 3700].map(lasting),
    ['20 ms', '1.4 s', '10 s', '1 min 1 s', '1 h 1 min']
  );
  assert.equal(goingOn(100, 107.9), '7 s');
  assert.equal(goingOn(100, 99), '0 s');
});

test('a task that takes inputs is left to be filled in, and another is executed', () => {
  assert.deepEqual(runLine('ml.square(x=, y=)'), {
    text: '%flyte_run ml.square(x=, y=)',
    cursor: '%flyte_run ml.square(x='.length
  });
  assert.deepEqual(runLine('ml.sleep()'), { text: '%flyte_run ml.sleep()', cursor: null });
  assert.equal(magicLine('flyte_panel', '').text, '%flyte_panel');
  assert.equal(magicLine('flyte_panel', 'ml').text, '%flyte_panel ml');
});

test('a phase has a sign of its own, so that no colour is alone', () => {
  const phases = ['queued', 'preparing', 'waiting', 'running', 'succeeded', 'failed', 'aborted'];
  assert.equal(new Set(phases.map(sign)).size, phases.length);
});

test('a notebook that has nothing to do with us is left alone', () => {
  assert.ok(mentionsFlyte('%load_ext flyte_jupyter'));
  assert.ok(!mentionsFlyte('import numpy as np'));
});
