import assert from 'node:assert/strict'
import { test } from 'node:test'
import { collectPair, parseDollars, parseDuration, parseJob } from './parse.ts'
import { toRepository } from './repository-name.ts'

test('a time is typed with units, or as seconds', () => {
  assert.equal(parseDuration('90'), 90)
  assert.equal(parseDuration('90s'), 90)
  assert.equal(parseDuration('30m'), 1800)
  assert.equal(parseDuration('1h30m'), 5400)
  for (const wrong of ['', 'm', '5 m', '1d', '-5m', '1.5h', '30mx'])
    assert.throws(() => parseDuration(wrong), /30m/)
})

test('money stays a decimal text', () => {
  assert.equal(parseDollars('2.50'), '2.50')
  assert.equal(parseDollars('$3'), '3')
  for (const wrong of ['2,50', '-1', '1e3', '', '1.']) assert.throws(() => parseDollars(wrong), /2\.50/)
})

test('pairs collect, and a value may hold an equals sign', () => {
  assert.deepEqual(collectPair('B=x=y', collectPair('A=1')), { A: '1', B: 'x=y' })
  assert.throws(() => collectPair('novalue'), /NAME=VALUE/)
  assert.throws(() => collectPair('=x'), /NAME=VALUE/)
})

test('a job is named by number, #number or id', () => {
  assert.equal(parseJob('#12'), '12')
  assert.equal(parseJob('01A20D5F-D79F-7846-AC92-BC0435B69FFB'), '01a20d5f-d79f-7846-ac92-bc0435b69ffb')
  for (const wrong of ['twelve', '-1', '../1', '']) assert.throws(() => parseJob(wrong), /flowforge jobs/)
})

test('a repository is a name, an address, or a path that is made absolute', () => {
  assert.equal(toRepository('shop', '/home/me'), 'shop')
  assert.equal(toRepository('./shop', '/home/me'), '/home/me/shop')
  assert.equal(toRepository('.', '/home/me'), '/home/me')
  assert.equal(toRepository('../shop', '/home/me'), '/home/shop')
  assert.equal(toRepository('code/shop', '/home/me'), '/home/me/code/shop')
  assert.equal(
    toRepository('https://git.example.com/shop.git', '/home/me'),
    'https://git.example.com/shop.git',
  )
  assert.equal(toRepository('git@git.example.com:shop.git', '/home/me'), 'git@git.example.com:shop.git')
  // Passed on as typed: the API says why such an address is not taken.
  assert.equal(toRepository('file:///etc', '/home/me'), 'file:///etc')
})
