import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toPrintable, toPrintableLine } from './printable.ts'

test('terminal sequences of every form are gone', () => {
  assert.equal(toPrintable('\u001b[31mred\u001b[0m'), 'red')
  assert.equal(toPrintable('a\u001b]0;title\u0007b'), 'ab')
  assert.equal(toPrintable('a\u001b]52;c;ZXZpbA==\u001b\\b'), 'ab')
  assert.equal(toPrintable('a\u001bPq#0\u001b\\b'), 'ab')
  assert.equal(toPrintable('a\u001bcb'), 'ab')
})

test('what is left of a broken sequence is shown, not sent', () => {
  assert.equal(toPrintable('a\u001b'), 'a\\u{1b}')
  assert.equal(toPrintable('8-bit \u009b31m'), '8-bit \\u{9b}31m')
  assert.equal(toPrintable('back\bspace and \rreturn'), 'back\\u{8}space and \\u{d}return')
})

test('marks that reorder or hide text are shown', () => {
  assert.equal(toPrintable('user\u202egnp.exe'), 'user\\u{202e}gnp.exe')
  assert.equal(toPrintable('zero\u200bwidth'), 'zero\\u{200b}width')
})

test('lines, tabs and every language stay', () => {
  assert.equal(toPrintable('tab\there\r\nnächste Zeile 日本語 🎉'), 'tab\there\nnächste Zeile 日本語 🎉')
})

test('a line is one line and has an end', () => {
  assert.equal(toPrintableLine('one\n  two\tthree'), 'one two three')
  assert.equal(toPrintableLine('abcdef', 4), 'abc…')
})
