// Installing the app: whether it is, and whether the browser offers it.

export function isInstalled() {
  return matchMedia("(display-mode: standalone)").matches || navigator.standalone === true;
}

// iPhone or iPad: there only the user can install, by the Share menu.
export function isApple() {
  return /iPhone|iPad|iPod/.test(navigator.userAgent) || (navigator.platform === "MacIntel" && navigator.maxTouchPoints > 1);
}

class HomeScreen extends EventTarget {
  #offer = null;

  constructor() {
    super();
    addEventListener("beforeinstallprompt", (event) => {
      event.preventDefault();
      this.#keep(event);
    });
    addEventListener("appinstalled", () => this.#keep(null));
  }

  // Whether the browser can be asked to install the app.
  get isOffered() {
    return this.#offer !== null && !isInstalled();
  }

  // Let the browser ask the user; it does so once for each offer.
  async install() {
    const offer = this.#offer;
    await offer.prompt();
    await offer.userChoice;
    if (this.#offer === offer) this.#keep(null);
  }

  #keep(offer) {
    this.#offer = offer;
    this.dispatchEvent(new CustomEvent("change"));
  }
}

export const homeScreen = new HomeScreen();
