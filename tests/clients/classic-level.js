'use strict'

// The suite of abstract-level on classic-level, and the case in which classic-level uses a released snapshot.

const { mkdtempSync } = require('fs')
const { tmpdir } = require('os')
const { join } = require('path')
const test = require('tape')
const { ClassicLevel } = require('classic-level')
const suite = require('abstract-level/test')

const location = () => mkdtempSync(join(tmpdir(), 'classic-level-'))

suite({
  test,
  factory: (options) => new ClassicLevel(location(), options)
})
