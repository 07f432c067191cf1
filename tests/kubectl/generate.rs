//! Texts that nobody thought of, the same for the same seed.

/// xorshift64*, <https://en.wikipedia.org/wiki/Xorshift>.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let wide = u128::from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d));
        usize::try_from((wide * sides as u128) >> 64).unwrap()
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len())]
    }
}

pub(crate) fn texts(seed: u64, count: usize) -> Vec<String> {
    let mut dice = Dice(seed);
    (0..count).map(|_| text(&mut dice)).collect()
}

fn text(dice: &mut Dice) -> String {
    let mut text = String::new();
    text.push_str(dice.pick(&["", "", "", "---\n", "# a comment\n", "\n", "--- # begins\n"]));
    text.push_str("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: \"@@\"\ndata:\n");
    for index in 0..=dice.roll(3) {
        text.push_str(&format!("  {}:", key(dice, index)));
        value(dice, 4, &mut text);
        text.push_str(dice.pick(&["", "", "", "\n", "  # a comment\n", "# another\n"]));
    }
    text.push_str(dice.pick(&["", "", "---\n", "...\n", "\n\n"]));
    if dice.roll(4) == 0 { text.replace('\n', "\r\n") } else { text }
}

fn key(dice: &mut Dice, index: usize) -> String {
    match dice.roll(5) {
        0 => format!("\"k{index}\""),
        1 => format!("'k{index}'"),
        2 => format!("{index}"),
        _ => format!("k{index}"),
    }
}

/// After `key:`, with what ends its line; what follows in other lines is indented by `indent`.
fn value(dice: &mut Dice, indent: usize, text: &mut String) {
    let margin = " ".repeat(indent);
    match dice.roll(12) {
        0..=4 => text.push_str(&format!(" {}\n", plain(dice))),
        5 => text.push_str(&format!(
            " {}{}\n",
            dice.pick(&["!!str ", "!!int ", "!!float ", "!!bool ", "!own "]),
            plain(dice)
        )),
        6 => text.push_str(&format!(" '{}'\n", words(dice).replace('\'', "''"))),
        7 => text.push_str(&format!(
            " \"{}{}\"\n",
            words(dice).replace(['"', '\\'], ""),
            dice.pick(&["", "\\n", "\\t", "\\u00e9", "\\x41", "\\\\", "\\\"", "\\0"])
        )),
        8 => block(dice, indent, text),
        9 => {
            text.push_str(" [");
            for _ in 0..dice.roll(4) {
                text.push_str(&format!("{}, ", flow(dice)));
            }
            text.push_str("]\n");
        }
        10 => text.push_str(&format!(" {{a: {}, \"b\": {}}}\n", flow(dice), flow(dice))),
        _ => {
            text.push('\n');
            for _ in 0..=dice.roll(3) {
                text.push_str(&format!("{margin}- {}\n", plain(dice)));
            }
        }
    }
}

fn block(dice: &mut Dice, indent: usize, text: &mut String) {
    let margin = " ".repeat(indent);
    text.push_str(&format!(" {}{}\n", dice.pick(&["|", ">"]), dice.pick(&["", "-", "+"])));
    for _ in 0..=dice.roll(4) {
        let more = " ".repeat(dice.roll(3));
        match dice.roll(5) {
            0 => text.push('\n'),
            1 => text.push_str(&format!("{margin}{more}{}\n", words(dice))),
            _ => text.push_str(&format!("{margin}{}\n", words(dice))),
        }
    }
    // The first line sets the indentation; one that is deeper than the rest would make the rest something else.
    if let Some(at) = text.rfind(['|', '>'])
        && text[at..].split_inclusive('\n').nth(1).is_some_and(|line| line.starts_with(&format!("{margin} ")))
    {
        text.truncate(at);
        text.push_str(&format!("|\n{margin}text\n"));
    }
}

fn words(dice: &mut Dice) -> String {
    let pieces = [
        "a",
        "word",
        "two words",
        "1",
        "yes",
        "ü",
        "😀",
        ": b",
        " #c",
        "'",
        "end.",
        "-",
        "null",
        "tab\there",
        "%",
    ];
    (0..=dice.roll(3))
        .map(|_| dice.pick(&pieces))
        .collect::<Vec<_>>()
        .join(dice.pick(&["", " "]))
        .trim()
        .to_owned()
}

/// A scalar that can stand in brackets.
fn flow(dice: &mut Dice) -> String {
    loop {
        let scalar = plain(dice);
        if !scalar.is_empty()
            && !scalar.contains([',', '?', '!', '[', ']', '{', '}', ':', '#', '\n', '-', '.'])
        {
            return scalar;
        }
    }
}

fn plain(dice: &mut Dice) -> String {
    const WORDS: &[&str] = &[
        "yes",
        "No",
        "ON",
        "off",
        "y",
        "n",
        "Y",
        "N",
        "true",
        "True",
        "TRUE",
        "false",
        "tRue",
        "null",
        "Null",
        "~",
        "",
        ".inf",
        "-.inf",
        ".nan",
        ".5",
        "5.",
        "0",
        "-0",
        "+1",
        "00",
        "01",
        "08",
        "0o7",
        "0O7",
        "0b1",
        "0x1f",
        "0X1F",
        "1_0",
        "_1",
        "1_",
        "1e3",
        "1E-3",
        "1e",
        "1.5e+3",
        "1:30",
        "190:20:30",
        "2024-01-01",
        "2024-01-01T00:00:00Z",
        "2024-01-01 00:00:00",
        "64Mi",
        "1.2.3",
        "<<",
        "=",
        "a b",
        "a: b",
        "a #b",
        "a#b",
        "-a",
        "--",
        "-",
        "?a",
        ":a",
        "a:",
        "http://a/b?c=d",
        "/path",
        "./x",
        "../x",
        "*",
        "$(VAR)",
        "@a",
        "%a",
        "!a",
        "&a b",
        "ü",
        "😀",
        "a,b",
        "(a)",
        "a]",
        "it's",
        "say \"hi\"",
    ];
    if dice.roll(2) == 0 {
        return dice.pick(WORDS).to_owned();
    }
    // What looks like a number, and mostly is not one.
    const PIECES: &[&str] =
        &["0", "1", "7", "8", "9", "12", "_", ".", "e", "E", "+", "-", "x", "o", "b", "f", ":"];
    (0..=dice.roll(5)).map(|_| dice.pick(PIECES)).collect()
}
