//! Numbers as people read them.

/// `12,345`
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Four significant digits: `475.2`, `0.01234`, `-1.234e-5`, `1234567`.
pub(crate) fn short(value: f64) -> String {
    let size = value.abs();
    match size {
        0.0 => "0".into(),
        _ if (1000.0..1e9).contains(&size) => format!("{value:.0}"),
        _ if (0.001..1e9).contains(&size) => {
            let decimals = (3 - size.log10().floor() as i32).clamp(0, 6) as usize;
            format!("{value:.decimals$}")
        }
        _ => format!("{value:.3e}"),
    }
}

/// A measured value beside a round one: `475.96`, `-179.2`, `12`.
pub(crate) fn measured(value: f64) -> String {
    if value.abs() < 1e-3 || value.abs() >= 1e15 {
        return format!("{value}");
    }
    let decimals = if value.abs() < 1.0 { 5 } else { 2 };
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// `210k`, `1.53M`
pub(crate) fn with_suffix(value: f64) -> String {
    for (unit, suffix) in [(1e9, "G"), (1e6, "M"), (1e3, "k")] {
        if value.abs() >= unit {
            let scaled = value / unit;
            let decimals = if scaled.abs() >= 100.0 { 0 } else { 2 };
            return format!("{scaled:.decimals$}{suffix}");
        }
    }
    format!("{value:.0}")
}

/// `0.05 s`, `12.3 s`, `3:05 min`, `2:03:04 h`
pub(crate) fn duration(seconds: f64) -> String {
    match seconds {
        _ if seconds < 10.0 => format!("{seconds:.2} s"),
        _ if seconds < 60.0 => format!("{seconds:.1} s"),
        _ => {
            let whole = seconds.round() as u64;
            let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
            if hours == 0 {
                format!("{minutes}:{seconds:02} min")
            } else {
                format!("{hours}:{minutes:02}:{seconds:02} h")
            }
        }
    }
}

/// `7 s`, `3:05 min`: a time that is still running.
pub(crate) fn whole_duration(seconds: u64) -> String {
    if seconds < 60 { format!("{seconds} s") } else { duration(seconds as f64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(short(475.25), "475.2");
        assert_eq!(short(0.012_345), "0.01235");
        assert_eq!(short(-1.234e-5), "-1.234e-5");
        assert_eq!(short(-1234.5), "-1234");
        assert_eq!(measured(475.96), "475.96");
        assert_eq!(measured(-179.197_479_913_643_52), "-179.2");
        assert_eq!(measured(1_000_448.0), "1000448");
        assert_eq!(measured(0.0125), "0.0125");
        assert_eq!(measured(0.0), "0");
        assert_eq!(with_suffix(210_400.0), "210k");
        assert_eq!(with_suffix(1_530_000.0), "1.53M");
        assert_eq!(duration(0.05), "0.05 s");
        assert_eq!(duration(185.0), "3:05 min");
        assert_eq!(duration(7384.0), "2:03:04 h");
        assert_eq!(whole_duration(7), "7 s");
        assert_eq!(whole_duration(185), "3:05 min");
    }
}
