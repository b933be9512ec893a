/** A program's place on PATH. */

import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

export function findOnPath(name: string): string {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    const place = join(folder, name);
    try {
      accessSync(place, constants.X_OK);
      return place;
    } catch {
      // not here
    }
  }
  throw new Error(`no ${name} on PATH`);
}
