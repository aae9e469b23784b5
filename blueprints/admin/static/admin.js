// Scripts of the operator's pages. Without them the pages work, but do not update themselves.

import { labelCells } from "./cards.js";
import { offerCopying } from "./copy.js";
import { keepLive } from "./live.js";

function prepare(part) {
  offerCopying(part);
  labelCells(part);
}

prepare(document);
keepLive(prepare);
