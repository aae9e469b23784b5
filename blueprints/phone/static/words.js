// The words of the app in the language of the person who reads them.
//
// Each sentence is whole, in English, with names in braces for what is put into it; the English
// sentence is also the key of its translation. A sentence is never put together from pieces.

let catalog = {};
let plurals = new Intl.PluralRules("en");

// Use the translations of a language: {English sentence: translation, or translations by plural category}.
export function speak(language, translations) {
  catalog = translations;
  plurals = new Intl.PluralRules(language);
}

// t("Text from {name}", { name }): the sentence in the person's language.
export function t(sentence, values = {}) {
  return filled(catalog[sentence] ?? sentence, values);
}

// many(3, "{count} text", "{count} texts"): the form of a sentence for a number.
export function many(count, one, other, values = {}) {
  const translated = catalog[other];
  const english = count === 1 ? one : other;
  return filled(translated?.[plurals.select(count)] ?? translated?.other ?? english, { count, ...values });
}

function filled(sentence, values) {
  return sentence.replace(/\{(\w+)\}/g, (hole, name) => values[name] ?? hole);
}
