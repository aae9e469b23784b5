// Scripts of the operator's pages. Without them the pages work, but do not update themselves.

import { offerCopying } from "./copy.js";
import { keepLive } from "./live.js";
import { localTimes } from "./times.js";

offerCopying(document);
localTimes(document);
keepLive((part) => {
  offerCopying(part);
  localTimes(part);
});
