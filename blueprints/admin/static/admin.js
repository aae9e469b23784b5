// What scripts add to the operator's pages. Without them everything works but renews itself.

import { offerCopying } from "./copy.js";
import { keepLive } from "./live.js";
import { localTimes } from "./times.js";

offerCopying(document);
localTimes(document);
keepLive((part) => {
  offerCopying(part);
  localTimes(part);
});
