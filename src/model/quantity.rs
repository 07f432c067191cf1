//! Kubernetes quantities (`500m`, `64Mi`, `1e3`), <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>.

/// A quantity in thousandths, rounded up as Kubernetes rounds: `1` is 1000, `1m` is 1, `64Mi` is 67108864000.
pub(crate) fn milli(text: &str) -> Option<i128> {
    let digits_end = text.find(|c: char| !matches!(c, '0'..='9' | '.' | '+' | '-')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits_end);
    let (numerator, denominator) = scale(suffix)?;
    let (negative, number) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.len() > 18 || whole.len() > 18 {
        return None;
    }
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let mantissa: i128 = format!("0{whole}{fraction}").parse().ok()?;
    let divisor = 10i128.pow(u32::try_from(fraction.len()).ok()?).checked_mul(denominator)?;
    let scaled = mantissa.checked_mul(numerator)?.checked_mul(1000)?;
    let rounded = scaled / divisor + i128::from(scaled % divisor != 0);
    Some(if negative { -rounded } else { rounded })
}

/// A quantity in whole units, rounded up: bytes for memory, cores for cpu.
pub(crate) fn whole(text: &str) -> Option<i128> {
    milli(text).map(|milli| milli / 1000 + i128::from(milli % 1000 > 0))
}

/// Bytes of a page of `hugepages-2Mi`; `None` for what is no huge page.
pub(crate) fn page_size(resource: &str) -> Option<u64> {
    let size = whole(resource.strip_prefix("hugepages-")?)?;
    u64::try_from(size).ok().filter(|size| *size > 0)
}

/// What a suffix multiplies by, as a fraction.
fn scale(suffix: &str) -> Option<(i128, i128)> {
    Some(match suffix {
        "" => (1, 1),
        "n" => (1, 1_000_000_000),
        "u" => (1, 1_000_000),
        "m" => (1, 1_000),
        "k" => (1_000, 1),
        "M" => (1_000_000, 1),
        "G" => (1_000_000_000, 1),
        "T" => (1_000_000_000_000, 1),
        "P" => (1_000_000_000_000_000, 1),
        "E" => (1_000_000_000_000_000_000, 1),
        "Ki" => (1 << 10, 1),
        "Mi" => (1 << 20, 1),
        "Gi" => (1 << 30, 1),
        "Ti" => (1 << 40, 1),
        "Pi" => (1 << 50, 1),
        "Ei" => (1 << 60, 1),
        exponent => {
            let power: i32 = exponent.strip_prefix(['e', 'E'])?.parse().ok()?;
            match power {
                0..=18 => (10i128.pow(power.unsigned_abs()), 1),
                -18..=-1 => (1, 10i128.pow(power.unsigned_abs())),
                _ => return None,
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_reads_them() {
        let cases = [
            ("1", Some(1000)),
            ("500m", Some(500)),
            ("0.1", Some(100)),
            (".5", Some(500)),
            ("1e3", Some(1_000_000)),
            ("1E3", Some(1_000_000)),
            ("1E", Some(1_000_000_000_000_000_000_000)),
            ("64Mi", Some(67_108_864_000)),
            ("-1", Some(-1000)),
            ("100n", Some(1)),
            ("1.5Gi", Some(1_610_612_736_000)),
            ("", None),
            ("Mi", None),
            ("1mi", None),
            ("1 Gi", None),
            ("0x10", None),
            ("1e99", None),
        ];
        for (text, expected) in cases {
            assert_eq!(milli(text), expected, "{text}");
        }
        assert_eq!(whole("1500m"), Some(2));
    }
}
