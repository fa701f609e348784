/** Bytes, seconds and times of day: what is read, what is written, and that nothing is lost between. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  parseBytes,
  parseSeconds,
  showBytes,
  showClock,
  showSeconds,
  showShare,
  writeBytes,
  writeSeconds
} from '../quantity.ts';
import { GB } from './support.ts';

test('sizes are read with and without unit, a bare number as gigabytes', () => {
  for (const text of [
    '4G',
    '4 GB',
    '4 gb',
    '4GiB',
    ' 4 ',
    '4096M',
    '4194304 KB'
  ]) {
    assert.equal(parseBytes(text), 4 * GB, text);
  }
  assert.equal(parseBytes('1.5 GB'), 1.5 * GB);
  assert.equal(parseBytes('512 MB'), GB / 2);
});

test('what is no size is refused', () => {
  for (const text of [
    '',
    'lots',
    '-1',
    '4 GB 2',
    '1,5 GB',
    '4 X',
    '4 B',
    '1e9',
    '0x10'
  ]) {
    assert.equal(parseBytes(text), null, text);
  }
});

test('times are read as people and as Slurm write them, a bare number as hours', () => {
  for (const text of [
    '1:30 h',
    '1:30',
    '1 h 30 min',
    '1h30m',
    '90 min',
    '1.5',
    '1:30:00',
    '5400 s'
  ]) {
    assert.equal(parseSeconds(text), 5400, text);
  }
  assert.equal(parseSeconds('1-00:00:00'), 86400);
  assert.equal(parseSeconds('2 days'), 172800);
  assert.equal(parseSeconds('2'), 7200);
});

test('what is no time is refused', () => {
  for (const text of [
    '',
    'soon',
    '1:75',
    '1 h 75 min',
    '-2 h',
    '2 weeks',
    '1.2.3'
  ]) {
    assert.equal(parseSeconds(text), null, text);
  }
});

test('what stands in an input reads back as the same number', () => {
  for (const value of [
    GB,
    1.5 * GB,
    1000 * 1024 ** 2,
    2 * GB + 1024 ** 2,
    1024 ** 4,
    GB / 3 - ((GB / 3) % 1024)
  ]) {
    assert.equal(parseBytes(writeBytes(value)), value, writeBytes(value));
  }
  for (const value of [
    30, 60, 90, 3600, 5400, 5415, 7200, 86400, 172800, 190000
  ]) {
    assert.equal(parseSeconds(writeSeconds(value)), value, writeSeconds(value));
  }
});

test('sizes and times are shown in the largest unit that keeps them readable', () => {
  assert.deepEqual(
    [0, 512 * 1024 ** 2, 4 * GB, 1.5 * GB, 2048 * GB].map(showBytes),
    ['0 bytes', '512 MB', '4 GB', '1.5 GB', '2 TB']
  );
  assert.deepEqual([45, 1800, 7200, 5400, 86400, 172800].map(showSeconds), [
    '45 s',
    '30 min',
    '2 h',
    '1 h 30 min',
    '24 h',
    '2 days'
  ]);
});

test('a share is in the unit of the whole', () => {
  assert.deepEqual(showShare(0.4 * GB, 2 * GB), ['0.4', '2 GB']);
  assert.deepEqual(showShare(0, GB / 2), ['0', '512 MB']);
});

test('a time of day says the weekday only where it is not today', () => {
  const noon = new Date(2026, 10, 23, 12, 0).getTime() / 1000;
  assert.equal(showClock(noon + 4 * 3600 + 300, noon, 'en'), '16:05');
  assert.equal(showClock(noon + 86400, noon, 'en'), 'Tue 12:00');
  // A weekday alone would be the next one of that name.
  assert.match(
    showClock(noon + 7 * 86400, noon, 'en'),
    /^Mon, \w+ \d+, 12:00$/
  );
  assert.match(
    showClock(noon - 9 * 86400, noon, 'en'),
    /^Sat, \w+ \d+, 12:00$/
  );
});
