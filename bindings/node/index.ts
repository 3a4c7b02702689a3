/** `crashlab/node`: what only Node.js can do. */
export { saveFile } from "../assets/node_files.ts";
