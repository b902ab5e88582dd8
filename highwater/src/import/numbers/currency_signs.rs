//! What stands beside an amount of money: a sign, an abbreviation or a code.

use domain::money::Currency;

/// Signs, and the currencies that are written with them.
const SIGNS: &[(&str, &[&str])] = &[
    ("€", &["EUR"]),
    ("£", &["GBP", "EGP", "GIP", "FKP", "SHP"]),
    ("$", &["USD", "AUD", "CAD", "NZD", "SGD", "HKD", "MXN", "CLP", "COP", "ARS", "TWD", "BRL", "UYU", "DOP"]),
    ("US$", &["USD"]),
    ("A$", &["AUD"]),
    ("AU$", &["AUD"]),
    ("C$", &["CAD"]),
    ("CA$", &["CAD"]),
    ("NZ$", &["NZD"]),
    ("S$", &["SGD"]),
    ("HK$", &["HKD"]),
    ("MX$", &["MXN"]),
    ("NT$", &["TWD"]),
    ("R$", &["BRL"]),
    ("¥", &["JPY", "CNY"]),
    ("円", &["JPY"]),
    ("₹", &["INR"]),
    ("Rs", &["INR", "PKR", "LKR", "NPR", "MUR"]),
    ("Rs.", &["INR", "PKR", "LKR", "NPR", "MUR"]),
    ("R", &["ZAR"]),
    ("Fr.", &["CHF"]),
    ("SFr.", &["CHF"]),
    ("kr", &["SEK", "NOK", "DKK", "ISK"]),
    ("kr.", &["SEK", "NOK", "DKK", "ISK"]),
    ("zł", &["PLN"]),
    ("Kč", &["CZK"]),
    ("Ft", &["HUF"]),
    ("lei", &["RON"]),
    ("₺", &["TRY"]),
    ("₽", &["RUB"]),
    ("₩", &["KRW"]),
    ("₪", &["ILS"]),
    ("₫", &["VND"]),
    ("฿", &["THB"]),
    ("₴", &["UAH"]),
    ("₱", &["PHP"]),
    ("₦", &["NGN"]),
];

/// Whether a text is written beside amounts.
pub(super) fn is_known(sign: &str) -> bool {
    sign.parse::<Currency>().is_ok() || SIGNS.iter().any(|(known, _)| *known == sign)
}

/// Whether an amount in this currency may be written with this sign.
pub(super) fn may_mean(sign: &str, currency: Currency) -> bool {
    sign == currency.code()
        || SIGNS.iter().any(|(known, currencies)| *known == sign && currencies.contains(&currency.code()))
}
