//! When a certificate ends: the one field of it that the TLS library does not tell.

use std::time::Duration;

/// X.690 tags of what stands before the validity (RFC 5280 §4.1).
const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const EXPLICIT_VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The end of its validity since 1970; `None` if the certificate is not built as RFC 5280 says.
pub(super) fn not_after(certificate: &[u8]) -> Option<Duration> {
    let (body, _) = take(certificate, SEQUENCE)?;
    let (fields, _) = take(body, SEQUENCE)?;
    // version, serialNumber, signature, issuer
    let fields = take(fields, EXPLICIT_VERSION).map_or(fields, |(_, rest)| rest);
    let (_, fields) = take(fields, INTEGER)?;
    let (_, fields) = take(fields, SEQUENCE)?;
    let (_, fields) = take(fields, SEQUENCE)?;
    let (validity, _) = take(fields, SEQUENCE)?;
    let (_, after) = time(validity)?;
    let (not_after, _) = time(after)?;
    not_after
}

/// A time and what comes after it.
fn time(input: &[u8]) -> Option<(Option<Duration>, &[u8])> {
    if let Some((text, rest)) = take(input, UTC_TIME) {
        let short = number(text.get(..2)?)?;
        // RFC 5280 §4.1.2.5.1: 50 to 99 are of the twentieth century.
        let year = if short < 50 { 2000 + short } else { 1900 + short };
        return Some((moment(year, text.get(2..)?), rest));
    }
    let (text, rest) = take(input, GENERALIZED_TIME)?;
    Some((moment(number(text.get(..4)?)?, text.get(4..)?), rest))
}

/// `MMDDHHMMSSZ` of a year; `None` before 1970.
fn moment(year: u64, text: &[u8]) -> Option<Duration> {
    let [m1, m2, d1, d2, h1, h2, n1, n2, s1, s2, b'Z'] = *text else { return None };
    let pair = |a, b| number(&[a, b]);
    let (month, day) = (pair(m1, m2)?, pair(d1, d2)?);
    let (hour, minute, second) = (pair(h1, h2)?, pair(n1, n2)?, pair(s1, s2)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let days = days(year, month, day)?;
    Some(Duration::from_secs(((days * 24 + hour) * 60 + minute) * 60 + second))
}

/// Days since 1970 of a date of the Gregorian calendar, counted in years that begin in March, so that the
/// leap day is the last.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = if month <= 2 { year.checked_sub(1)? } else { year };
    let month = (month + 9) % 12;
    let leaps = (year / 4 + year / 400).checked_sub(year / 100)?;
    (year * 365 + leaps + (month * 153 + 2) / 5 + day).checked_sub(719_469)
}

fn number(digits: &[u8]) -> Option<u64> {
    digits
        .iter()
        .try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0')))
}

/// The content of the element with this tag at the head, and what comes after it (X.690 §8.1, DER).
fn take(input: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, first], rest) = input.split_first_chunk()?;
    if found != tag {
        return None;
    }
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // More than four bytes of length are no certificate.
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            (bytes.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_counted_as_the_calendar_has_them() {
        let seconds = |year, text: &str| moment(year, text.as_bytes()).map(|since| since.as_secs());
        assert_eq!(seconds(1970, "0101000000Z"), Some(0));
        assert_eq!(seconds(2000, "0229000000Z"), Some(951_782_400));
        assert_eq!(seconds(2000, "0301000000Z"), Some(951_868_800));
        assert_eq!(seconds(2026, "0131235959Z"), Some(1_769_903_999));
        assert_eq!(seconds(2100, "0301000000Z"), Some(4_107_542_400));
        assert_eq!(seconds(9999, "1231235959Z"), Some(253_402_300_799));
        for bad in ["1301000000Z", "0001000000Z", "0101240000Z", "0101000000", "01010000xxZ", ""] {
            assert_eq!(seconds(2026, bad), None, "{bad}");
        }
        assert_eq!(seconds(1969, "1231235959Z"), None);
    }

    #[test]
    fn the_end_of_a_certificate_is_found_in_it_and_nothing_in_its_parts() {
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2031, 5, 17);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let der = certificate.der();
        assert_eq!(not_after(der), Some(Duration::from_secs(1_936_742_400)));
        for cut in 0..der.len() {
            // Cut anywhere it is nothing, and no panic.
            assert_eq!(not_after(&der[..cut]), None);
        }
    }
}
