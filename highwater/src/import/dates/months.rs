//! Names of months in the languages that ad accounts are set to.

/// The names of each month, in lower case: English first, by which chrono knows it.
const MONTHS: [&[&str]; 12] = [
    &["jan", "january", "januar", "jänner", "janvier", "janv", "enero", "ene", "gennaio", "gen", "januari", "janeiro"],
    &["feb", "february", "februar", "février", "févr", "febrero", "febbraio", "februari", "fevereiro", "fev"],
    &["mar", "march", "märz", "mär", "mrz", "mars", "marzo", "maart", "mrt", "março"],
    &["apr", "april", "avril", "avr", "abril", "abr", "aprile"],
    &["may", "mai", "mayo", "maggio", "mag", "mei", "maio"],
    &["jun", "june", "juni", "juin", "junio", "giugno", "giu", "junho"],
    &["jul", "july", "juli", "juillet", "juil", "julio", "luglio", "lug", "julho"],
    &["aug", "august", "août", "agosto", "ago", "augustus"],
    &["sep", "september", "sept", "septembre", "septiembre", "settembre", "set", "setembro"],
    &["oct", "october", "oktober", "okt", "octobre", "octubre", "ottobre", "ott", "outubro", "out"],
    &["nov", "november", "novembre", "noviembre", "novembro"],
    &["dec", "december", "dezember", "dez", "décembre", "déc", "diciembre", "dic", "dicembre", "dezembro"],
];

/// The cell with the name of its month in English, without the point of an abbreviation.
pub(super) fn in_english(cell: &str) -> String {
    let mut translated = String::with_capacity(cell.len());
    let mut rest = cell;
    while let Some(start) = rest.find(char::is_alphabetic) {
        translated.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest.find(|each: char| !each.is_alphabetic()).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let lower = word.to_lowercase();
        if let Some(names) = MONTHS.iter().find(|names| names.contains(&lower.as_str())) {
            translated.push_str(names[0]);
            rest = after.strip_prefix('.').unwrap_or(after);
        } else {
            translated.push_str(word);
            rest = after;
        }
    }
    translated.push_str(rest);
    translated
}
