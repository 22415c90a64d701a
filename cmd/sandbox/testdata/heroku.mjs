// heroku.mjs BIN: runs commands with the Heroku CLI at BIN (heroku/bin/run.js), one after
// the other in one process, as the CLI's own REPL does. Each line of file 3 is the
// arguments of one, as JSON; after it, a line "\0 CODE" says how it ended. What a process
// of its own would print is printed. It ends with file 3.
import {createRequire} from 'node:module'
import {createInterface} from 'node:readline'
import {createReadStream} from 'node:fs'
import {pathToFileURL} from 'node:url'

const bin = process.argv[2]
const {Config, handle, run} = createRequire(bin)('@oclif/core')

let code
process.exit = given => { code ??= given } // the last that a command's end does

for await (const line of createInterface({input: createReadStream(null, {fd: 3})})) {
  const args = JSON.parse(line)
  process.argv = [process.argv[0], bin, ...args]
  process.exitCode = code = undefined
  try {
    await run(args, await Config.load(pathToFileURL(bin).href))
  } catch (error) {
    await handle(error)
  }
  process.stdout.write(`\n\0 ${code ?? process.exitCode ?? 0}\n`)
}
