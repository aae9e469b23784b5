// Scripts of the operator's pages. Without them the pages work, but do not update themselves.

import { offerCopying } from "./copy.js";
import { keepLive } from "./live.js";

offerCopying(document);
keepLive(offerCopying);
