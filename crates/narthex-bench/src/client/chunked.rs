//! The chunked transfer coding (RFC 9112 §7.1), as far as a trusted upstream uses it.

/// A decoder that is fed whatever has arrived.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chunked {
    state: State,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum State {
    /// Before a chunk's size line.
    #[default]
    Size,
    /// Within a chunk's data: so many bytes to come.
    Data(usize),
    /// Before the line end that follows a chunk's data.
    DataEnd,
    /// After the last chunk, before a trailer line or the empty line.
    Trailer,
    Done,
}

impl Chunked {
    /// Decodes from `input` to `output`; returns how many bytes of `input` were used up. `None`: that
    /// is not chunked coding.
    pub(super) fn decode(&mut self, input: &[u8], output: &mut Vec<u8>) -> Option<usize> {
        let mut at = 0;
        while self.state != State::Done {
            let rest = &input[at..];
            if let State::Data(length) = self.state {
                let taken = length.min(rest.len());
                output.extend_from_slice(&rest[..taken]);
                at += taken;
                if taken < length {
                    self.state = State::Data(length - taken);
                    break;
                }
                self.state = State::DataEnd;
                continue;
            }
            let Some(end) = memchr::memchr(b'\n', rest) else { break };
            let line = rest[..end].trim_ascii_end();
            at += end + 1;
            self.state = match self.state {
                State::Size => match size(line)? {
                    0 => State::Trailer,
                    length => State::Data(length),
                },
                State::DataEnd if line.is_empty() => State::Size,
                State::Trailer if line.is_empty() => State::Done,
                State::Trailer => State::Trailer,
                State::DataEnd | State::Data(_) | State::Done => return None,
            };
        }
        Some(at)
    }

    /// Whether the last chunk and the trailers have been seen.
    pub(super) fn is_done(self) -> bool {
        self.state == State::Done
    }
}

fn size(line: &[u8]) -> Option<usize> {
    let digits = line.split(|byte| *byte == b';').next()?.trim_ascii();
    usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CODED: &[u8] = b"5\r\nhello\r\n1;x=y\r\n \r\nA\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n";

    #[test]
    fn what_is_not_chunked_is_refused() {
        for input in [&b"z\r\n"[..], b"\r\n", b"1\r\nab\r\n", b"-1\r\n"] {
            assert_eq!(Chunked::default().decode(input, &mut Vec::new()), None, "{input:?}");
        }
    }

    #[test]
    fn bytes_of_the_next_answer_are_left() {
        let (mut chunked, mut output) = (Chunked::default(), Vec::new());
        let input = [CODED, b"HTTP/1.1 200 OK"].concat();
        assert_eq!(chunked.decode(&input, &mut output), Some(CODED.len()));
        assert!(chunked.is_done());
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_body(cuts in proptest::collection::vec(0..CODED.len(), 0..8)) {
            let mut cuts = cuts;
            cuts.push(CODED.len());
            cuts.sort_unstable();
            let (mut chunked, mut output, mut at) = (Chunked::default(), Vec::new(), 0);
            for cut in cuts {
                at += chunked.decode(&CODED[at..cut], &mut output).expect("valid");
            }
            prop_assert!(chunked.is_done());
            prop_assert_eq!(&output[..], &b"hello 0123456789"[..]);
        }
    }
}
