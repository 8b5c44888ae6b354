/** The demo: a sample repository, and a scripted model that plays the answers when there is no key. */
export {
  startScriptedModel,
  SIMULATED,
  type ScriptedModel,
  type ModelRequest,
} from './scripted-model/server.ts'
export { scriptedTask, type Script, type ScriptInput } from './scripted-model/script.ts'
export { runDemo, type DemoOptions } from './demo.ts'
export { makeSampleRepository, SAMPLE_FILES } from './sample-repository.ts'
export { PLAYS, type Play } from './plays.ts'
