import assert from 'node:assert/strict';
import { test } from 'node:test';

import { isSafeLink, keepsAttribute, keepsElement } from '../src/allowed';
import { followsTheme, roleOf } from '../src/colours';
import { moved, zoomed } from '../src/viewbox';

test('a link leads to a page, a mail or a place, and runs nothing', () => {
  for (const link of ['https://example.org/', 'http://x/', 'mailto:a@b', '#node1']) {
    assert.ok(isSafeLink(link), link);
  }
  for (const link of [
    'javascript:alert(1)',
    ' JavaScript:alert(1)',
    'java\nscript:alert(1)',
    '\u0001javascript:alert(1)',
    'data:text/html,<script>',
    'vbscript:x',
    'file:///etc/passwd',
    ''
  ]) {
    assert.ok(!isSafeLink(link), link);
  }
});

test('what can run is taken out of a drawing', () => {
  for (const name of ['script', 'foreignObject', 'iframe', 'image', 'style', 'animate', 'use']) {
    assert.ok(!keepsElement(name), name);
  }
  assert.ok(keepsElement('linearGradient'));
  assert.ok(!keepsAttribute('onclick', 'alert(1)'));
  assert.ok(!keepsAttribute('xlink:href', 'javascript:alert(1)'));
  assert.ok(!keepsAttribute('fill', 'url(https://example.org/x.svg#a)'));
  assert.ok(keepsAttribute('fill', 'url(#node1_l_0)'));
  assert.ok(!keepsAttribute('style', 'background:url(https://example.org)'));
  assert.ok(keepsAttribute('style', 'stop-color:gold;stop-opacity:1.;'));
  assert.ok(keepsAttribute('viewBox', '0 0 1 1'));
});

test('ink and paper follow the theme, and what somebody chose does not', () => {
  const roles: [string | null, string][] = [
    [null, 'ink'],
    ['black', 'ink'],
    ['#1f2328', 'ink'],
    ['white', 'paper'],
    ['#fffffe', 'paper'],
    ['none', 'none'],
    ['transparent', 'none'],
    ['gold', 'own'],
    ['#0070b4', 'own'],
    ['#00000080', 'own']
  ];
  for (const [colour, role] of roles) {
    assert.equal(roleOf(colour), role, String(colour));
  }
  assert.ok(followsTheme(['white', 'none', null]));
  assert.ok(!followsTheme(['white', 'lightgrey']));
});

const whole = { x: 0, y: -100, width: 200, height: 100 };

test('what is at a point stays there when one looks from nearer', () => {
  const near = zoomed(whole, whole, 2, { x: 0.25, y: 0.5 });
  assert.deepEqual(near, { x: 25, y: -75, width: 100, height: 50 });
  assert.deepEqual(zoomed(near, whole, 0.5, { x: 0.25, y: 0.5 }), whole);
});

test('one can neither lose a drawing nor look from too near', () => {
  let seen = whole;
  for (let i = 0; i < 50; i++) {
    seen = zoomed(seen, whole, 2);
  }
  assert.equal(seen.width, 10);
  for (let i = 0; i < 50; i++) {
    seen = moved(seen, whole, 1, 1);
  }
  assert.ok(seen.x + seen.width / 2 <= 200 && seen.y + seen.height / 2 <= 0);
});
