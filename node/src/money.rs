//! Money as people type and read it: major units with the decimals of ISO 4217.

use hundi_ledger::money::{Amount, Currency};
use thiserror::Error;

/// Why typed text is not an amount of money.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ParseMoneyError {
    /// Not three letters of ISO 4217.
    #[error("{0:?} is not a currency of ISO 4217: give its three letters, as in INR")]
    Currency(String),
    /// Not a number in the one accepted form.
    #[error("{0:?} is not an amount: give digits with at most one point, as in 12.50")]
    Number(String),
    /// More decimals than the currency has.
    #[error("{currency} has {decimals} decimals, {text:?} has more")]
    Decimals {
        /// What was typed.
        text: String,
        /// The currency.
        currency: Currency,
        /// How many decimals it has.
        decimals: u32,
    },
    /// Larger than any amount that can be promised.
    #[error("{0:?} is more than can be promised")]
    TooLarge(String),
}

/// The currency with that code, which ISO 4217 must assign.
///
/// # Errors
/// [`ParseMoneyError::Currency`].
pub fn parse_currency(text: &str) -> Result<Currency, ParseMoneyError> {
    let upper = text.trim().to_ascii_uppercase();
    let unknown = || ParseMoneyError::Currency(text.to_owned());
    iso_currency::Currency::from_code(&upper).ok_or_else(unknown)?;
    Currency::new(&upper).map_err(|_| unknown())
}

/// How many decimals ISO 4217 gives a currency; 0 for one that it does not know.
pub fn decimals(currency: Currency) -> u32 {
    let known = iso_currency::Currency::from_code(&currency.code());
    known.and_then(|known| known.exponent()).map_or(0, u32::from)
}

/// Parses an amount in major units: `12`, `12.5` and `12.50` are 1,250 paisa.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_amount(text: &str, currency: Currency) -> Result<Amount, ParseMoneyError> {
    let number = || ParseMoneyError::Number(text.to_owned());
    let large = || ParseMoneyError::TooLarge(text.to_owned());
    let trimmed = text.trim();
    let (whole, fraction) = match trimmed.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
        Some(_) => return Err(number()),
        None => (trimmed, ""),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return Err(number());
    }
    let decimals = decimals(currency);
    let given = u32::try_from(fraction.len()).map_err(|_| number())?;
    let missing = decimals.checked_sub(given).ok_or_else(|| ParseMoneyError::Decimals {
        text: text.to_owned(),
        currency,
        decimals,
    })?;
    let joined: u64 = format!("{whole}{fraction}").parse().map_err(|_| large())?;
    let minor = 10u64.checked_pow(missing).and_then(|scale| joined.checked_mul(scale));
    minor.and_then(|minor| Amount::new(minor).ok()).ok_or_else(large)
}

/// An amount in major units with its currency: `12.50 INR`.
pub fn show(minor: u64, currency: Currency) -> String {
    format!("{} {currency}", show_number(minor, currency))
}

/// An amount in major units without its currency: `12.50`.
pub fn show_number(minor: u64, currency: Currency) -> String {
    let decimals = decimals(currency);
    let scale = 10u64.pow(decimals);
    match decimals {
        0 => minor.to_string(),
        _ => format!("{}.{:0width$}", minor / scale, minor % scale, width = decimals as usize),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_people_type_and_nothing_else() {
        let inr = parse_currency("inr").unwrap();
        for (text, minor) in [("12", 1200), ("12.5", 1250), (" 12.50 ", 1250), ("0.01", 1)] {
            assert_eq!(parse_amount(text, inr).unwrap().minor(), minor, "{text}");
        }
        for bad in ["", ".", "12.", ".5", "-1", "+1", "1,5", "1e3", "12.505", "٣", "1 2"] {
            assert!(parse_amount(bad, inr).is_err(), "{bad}");
        }
        let huge = parse_amount("99999999999999999999", inr);
        assert!(matches!(huge, Err(ParseMoneyError::TooLarge(_))));
        assert!(matches!(parse_amount("1.005", inr), Err(ParseMoneyError::Decimals { .. })));
        assert!(matches!(parse_currency("XQQ"), Err(ParseMoneyError::Currency(_))));
    }

    #[test]
    fn decimals_follow_iso_4217() {
        let (jpy, kwd) = (parse_currency("JPY").unwrap(), parse_currency("KWD").unwrap());
        assert_eq!(parse_amount("12", jpy).unwrap().minor(), 12);
        assert!(parse_amount("12.5", jpy).is_err());
        assert_eq!(parse_amount("1.005", kwd).unwrap().minor(), 1005);
        assert_eq!(show(1005, kwd), "1.005 KWD");
        assert_eq!(show(7, jpy), "7 JPY");
    }
}
