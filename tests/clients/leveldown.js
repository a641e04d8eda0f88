'use strict'

// The suite of abstract-leveldown on leveldown, with the features that leveldown supports.

const { mkdtempSync } = require('fs')
const { tmpdir } = require('os')
const { join } = require('path')
const leveldown = require('leveldown')
const suite = require('abstract-leveldown/test')

suite({
  test: require('tape'),
  factory: () => leveldown(mkdtempSync(join(tmpdir(), 'leveldown-'))),
  clear: true,
  getMany: true
})
