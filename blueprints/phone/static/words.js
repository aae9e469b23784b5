// The words of the app in the language of the person who reads them.
//
// Each sentence is whole, in English, with names in braces for what is put into it; the English
// sentence is also the key of its translation. A sentence is never put together from pieces.

// The languages that there are, as their speakers call them.
export const LANGUAGES = { en: "English", es: "Español", "fr-CA": "Français (Canada)", de: "Deutsch" };

const KEPT = "textbridge-language";

// The language that was chosen in the settings; null: that of the browser.
export function chosenLanguage() {
  const chosen = localStorage.getItem(KEPT);
  return chosen in LANGUAGES ? chosen : null;
}

// Choose a language, or null for that of the browser; the page must be loaded again.
export function chooseLanguage(chosen) {
  if (chosen) localStorage.setItem(KEPT, chosen);
  else localStorage.removeItem(KEPT);
}

const primary = (tag) => tag.toLowerCase().split("-")[0];

// The first of the person's languages that there is; English if there is none.
function languageOfBrowser() {
  for (const wanted of navigator.languages) {
    const found = Object.keys(LANGUAGES).find((one) => primary(one) === primary(wanted));
    if (found) return found;
  }
  return "en";
}

export const language = chosenLanguage() ?? languageOfBrowser();

// For dates and numbers: the language as it is written in the person's country, if the browser names it.
export const locale = navigator.languages.find((one) => primary(one) === primary(language)) ?? language;

const plurals = new Intl.PluralRules(locale);
const numbers = new Intl.NumberFormat(locale);
let catalogue = {}; // {English sentence: translation, or translations by plural category}

// Bring the translations here; without a connection, and before they were ever loaded, the words are English.
export async function loadWords() {
  if (language === "en") return;
  const answer = await fetch(`/phone/words_${language}.json`).catch(() => null);
  if (answer?.ok) catalogue = await answer.json();
}

// t("Text from {name}", { name }): the sentence in the person's language.
export function t(sentence, values = {}) {
  return filled(catalogue[sentence] ?? sentence, values);
}

// The same for a sentence of the page, which is no word of a script.
export const translated = t;

// many(3, "{count} text", "{count} texts"): the form of a sentence for a number.
export function many(count, one, other, values = {}) {
  const english = count === 1 ? one : other;
  const translated = catalogue[other];
  return filled(translated?.[plurals.select(count)] ?? translated?.other ?? english, { count, ...values });
}

// Put values into a sentence; numbers as the language writes them.
function filled(sentence, values) {
  return sentence.replace(/\{(\w+)\}/g, (hole, name) => {
    const value = values[name] ?? hole;
    return typeof value === "number" ? numbers.format(value) : value;
  });
}
