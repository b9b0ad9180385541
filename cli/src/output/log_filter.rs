//! Lines of a build's log, of which a terminal gets text and colours and nothing else.
//!
//! [`vte`] finds the sequences (ECMA-48, and Paul Williams' table for what is malformed) in bounded memory; what is
//! kept of them is decided here.

use std::borrow::Cow;
use std::fmt::Write;

use defences::Defence;
use vte::{Params, Parser, Perform};

/// What every line with colours ends with, so that none of it, concealed text above all, goes on in the next.
const RESET: &str = "\u{1b}[0m";

/// Filters a text that may come in pieces.
pub struct LogFilter {
    parser: Parser,
    colour: bool,
    /// Whether the line has colours so far.
    coloured: bool,
}

impl LogFilter {
    /// Lets colours (SGR) pass or not.
    pub fn new(colour: bool) -> LogFilter {
        LogFilter { parser: Parser::new(), colour, coloured: false }
    }

    /// Filters a text that is there as a whole.
    pub fn filter(text: &str, colour: bool) -> String {
        let mut filter = LogFilter::new(colour);
        let mut shown = String::with_capacity(text.len());
        filter.push(text, &mut shown);
        filter.end_line(&mut shown);
        shown
    }

    /// Filters one more piece. The end of a line ends every sequence that was begun in it: one that is not ended would
    /// swallow the rest of the log.
    pub fn push(&mut self, piece: &str, shown: &mut String) {
        if !Defence::LogText.stands() {
            shown.push_str(piece);
            return;
        }
        for (number, line) in piece.split('\n').enumerate() {
            if number > 0 {
                self.end_line(shown);
                shown.push('\n');
            }
            let mut kept = LineFilter { shown, colour: self.colour, coloured: &mut self.coloured };
            self.parser.advance(&mut kept, in_seven_bits(line).as_bytes());
        }
    }

    fn end_line(&mut self, shown: &mut String) {
        if self.coloured {
            shown.push_str(RESET);
        }
        *self = LogFilter::new(self.colour);
    }
}

/// C1 control characters as the escape sequences that mean the same (ECMA-48 §5.3).
fn in_seven_bits(line: &str) -> Cow<'_, str> {
    let is_c1 = |char: char| ('\u{80}'..='\u{9f}').contains(&char);
    if !line.contains(is_c1) {
        return line.into();
    }
    let mut text = String::with_capacity(line.len());
    for char in line.chars() {
        if is_c1(char) {
            text.extend(['\u{1b}', char::from(char as u8 - 0x40)]);
        } else {
            text.push(char);
        }
    }
    text.into()
}

/// Receives what the parser finds, and keeps what is allowed.
struct LineFilter<'a> {
    shown: &'a mut String,
    colour: bool,
    coloured: &'a mut bool,
}

impl Perform for LineFilter<'_> {
    fn print(&mut self, char: char) {
        if !char.is_control() {
            self.shown.push(char);
        }
    }

    fn execute(&mut self, byte: u8) {
        if byte == b'\t' {
            self.shown.push('\t');
        }
    }

    /// Select Graphic Rendition alone. With a private marker or intermediate bytes the same final byte sets modes of
    /// the keyboard (xterm's `CSI > … m`).
    fn csi_dispatch(&mut self, parameters: &Params, intermediates: &[u8], ignore: bool, action: char) {
        if action != 'm' || !intermediates.is_empty() || ignore || !self.colour {
            return;
        }
        self.shown.push_str("\u{1b}[");
        for (number, parameter) in parameters.iter().enumerate() {
            if number > 0 {
                self.shown.push(';');
            }
            for (number, value) in parameter.iter().enumerate() {
                let colon = if number > 0 { ":" } else { "" };
                let _ = write!(self.shown, "{colon}{value}");
            }
        }
        self.shown.push('m');
        *self.coloured = true;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::LogFilter;

    fn on_terminal(text: &str) -> String {
        LogFilter::filter(text, true)
    }

    fn elsewhere(text: &str) -> String {
        LogFilter::filter(text, false)
    }

    #[test]
    fn text_passes_as_it_is() {
        for text in ["", "plain", "a\tb", "Grüße, 日本, 👩\u{200d}💻", "~!\"§$%&/()[]{}m", "a\nb\n"]
        {
            assert_eq!((on_terminal(text), elsewhere(text)), (text.into(), text.into()));
        }
    }

    #[test]
    fn colours_are_for_terminals_and_end_with_their_line() {
        assert_eq!(on_terminal("\u{1b}[1;31mred\u{1b}[0m"), "\u{1b}[1;31mred\u{1b}[0m\u{1b}[0m");
        assert_eq!(on_terminal("\u{1b}[38:2:1:2:3mx\nnext"), "\u{1b}[38:2:1:2:3mx\u{1b}[0m\nnext");
        assert_eq!(on_terminal("\u{1b}[8mhidden"), "\u{1b}[8mhidden\u{1b}[0m");
        assert_eq!(on_terminal("\u{9b}32mgreen"), "\u{1b}[32mgreen\u{1b}[0m");
        assert_eq!(elsewhere("\u{1b}[1;31mred\u{1b}[0m \u{9b}32mgreen"), "red green");
    }

    #[test]
    fn everything_else_that_controls_a_terminal_is_left_out() {
        let sequences = [
            "\u{1b}]0;OWNED\u{7}",
            "\u{1b}]52;c;T1dORUQ=\u{1b}\\",
            "\u{1b}]8;;http://x/\u{1b}\\",
            "\u{1b}[2J",
            "\u{1b}[H",
            "\u{1b}[?1049h",
            "\u{1b}[6n",
            "\u{1b}[>4;2m",
            "\u{1b}[?4m",
            "\u{1b}[1 q",
            "\u{1b}[31$m",
            "\u{1b}c",
            "\u{1b}(0",
            "\u{1b}#8",
            "\u{1b}P$q\"p\u{1b}\\",
            "\u{1b}^private\u{1b}\\",
            "\u{1b}_command\u{1b}\\",
            "\u{1b}Xtext\u{1b}\\",
            "\u{90}$q\"p\u{9c}",
            "\u{9d}0;OWNED\u{9c}",
            "\u{9d}0;OWNED\u{7}",
            "\u{9b}2J",
            "\u{84}",
            "\u{7f}",
            "\u{7}",
            "\u{8}",
            "\r",
            "\u{b}",
            "\u{c}",
            "\u{e}",
            "\u{0}",
            "\u{18}",
        ];
        for sequence in sequences {
            let text = format!("a{sequence}b");
            assert_eq!((on_terminal(&text), elsewhere(&text)), ("ab".into(), "ab".into()), "{sequence:?}");
        }
    }

    #[test]
    fn a_sequence_that_does_not_end_ends_with_its_line() {
        for begun in ["\u{1b}", "\u{1b}[", "\u{1b}[31", "\u{1b}]0;x", "\u{1b}P", "\u{9d}", "\u{9b}1"] {
            assert_eq!(on_terminal(&format!("a{begun}\nb")), "a\nb", "{begun:?}");
        }
    }

    #[test]
    fn a_sequence_of_any_length_takes_no_room() {
        let mut filter = LogFilter::new(true);
        let mut shown = String::new();
        for begin in ["\u{1b}]0;", "\u{1b}[", "\u{1b}P"] {
            filter.push(begin, &mut shown);
            for _ in 0..1000 {
                filter.push(&"1;".repeat(1000), &mut shown);
            }
            filter.push("m\n", &mut shown);
        }
        assert_eq!(shown, "\n\n\n");
    }

    /// Whether it is text with tabs, line ends and, perhaps, well-formed colours.
    fn is_allowed(shown: &str, colour: bool) -> bool {
        let mut parts = shown.split('\u{1b}');
        let text = |part: &str| part.chars().all(|char| !char.is_control() || matches!(char, '\n' | '\t'));
        let sgr = |part: &str| {
            let body = part.strip_prefix('[').and_then(|part| part.split_once('m'));
            body.is_some_and(|(parameters, rest)| {
                parameters.bytes().all(|byte| byte.is_ascii_digit() || b";:".contains(&byte)) && text(rest)
            })
        };
        parts.next().is_some_and(text) && parts.all(|part| colour && sgr(part))
    }

    /// Texts in which characters that begin, continue and end sequences are frequent.
    fn hostile() -> impl Strategy<Value = Vec<char>> {
        let frequent =
            "\u{1b}\u{1b}\u{1b}[[]];:?>0123mmJhP_^X\\\u{7}\u{18}\n\t\r\u{9b}\u{9d}\u{9c}\u{90}é\u{202e}";
        let char = prop_oneof![any::<char>(), prop::sample::select(frequent.chars().collect::<Vec<_>>())];
        prop::collection::vec(char, 0..200)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn nothing_else_ever_comes_out_however_it_is_cut(
            text in hostile(),
            cuts in prop::collection::vec(0_usize..200, 0..6),
            colour: bool,
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let string = |part: &[char]| part.iter().collect::<String>();
            let (mut whole, mut pieces) = (LogFilter::new(colour), LogFilter::new(colour));
            let (mut at_once, mut in_pieces) = (String::new(), String::new());
            whole.push(&string(&text), &mut at_once);
            for cut in cuts.windows(2) {
                pieces.push(&string(&text[cut[0]..cut[1]]), &mut in_pieces);
            }
            prop_assert!(is_allowed(&at_once, colour), "{at_once:?}");
            prop_assert_eq!(at_once, in_pieces);
        }

        #[test]
        fn text_without_control_characters_is_never_changed(text in "\\PC*") {
            prop_assert_eq!(LogFilter::filter(&text, true), text);
        }
    }
}
