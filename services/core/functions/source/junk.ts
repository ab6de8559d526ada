/** Names that never belong to a function's code, wherever they lie in the tree. */
const JUNK = new Set(['.git', '.hg', '.svn', '.DS_Store', '__MACOSX', '__pycache__']);

/** `node_modules` is made by the build from the lock file, unless the caller ships its own. */
export function isJunk(components: readonly string[], keepNodeModules: boolean): boolean {
  return components.some((name) => JUNK.has(name) || (name === 'node_modules' && !keepNodeModules));
}
