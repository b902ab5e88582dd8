use http::Method;
use proptest::prelude::*;

use super::*;
use crate::idempotency::RequestDigest;

const SIZE: Size = Size { lines: 4, bytes: 60, line_bytes: 20 };

/// What a test looks at: number, first and last line, each item, and the digest.
type Seen = (u64, (u64, u64), Vec<(u64, Option<String>)>, [u8; 32]);

fn seen(chunk: &Chunk) -> Seen {
    let item = |line: &Line| match line {
        Line::Text(range) => Some(String::from_utf8_lossy(chunk.text(range)).into_owned()),
        Line::TooLong => None,
    };
    let items = chunk.items.iter().map(|(number, line)| (*number, item(line))).collect();
    (chunk.number, chunk.lines, items, chunk.digest())
}

/// Cuts a body that arrives in pieces of these sizes, the last of which repeats.
fn cut(body: &[u8], pieces: &[usize]) -> (Vec<Seen>, u64) {
    let mut cutter = ChunkSplitter::new(SIZE, RequestDigest::of(&Method::POST, "/"));
    let mut chunks = Vec::new();
    let (mut rest, mut sizes) = (body, pieces.iter().copied());
    let mut size = usize::MAX;
    while !rest.is_empty() {
        size = sizes.next().unwrap_or(size).clamp(1, rest.len());
        let (mut piece, after) = rest.split_at(size);
        while let Some(chunk) = cutter.take(&mut piece) {
            chunks.push(seen(&chunk));
        }
        rest = after;
    }
    chunks.extend(cutter.finish().as_ref().map(seen));
    assert_eq!(cutter.bytes(), body.len() as u64);
    (chunks, cutter.lines())
}

fn items(body: &str) -> Vec<Vec<(u64, Option<String>)>> {
    cut(body.as_bytes(), &[]).0.into_iter().map(|(_, _, items, _)| items).collect()
}

fn line(number: u64, text: &str) -> (u64, Option<String>) {
    (number, Some(text.to_owned()))
}

#[test]
fn lines_are_counted_as_they_stand_in_the_file() {
    assert_eq!(items(""), Vec::<Vec<_>>::new());
    assert_eq!(items("\n \r\n\t"), Vec::<Vec<_>>::new());
    assert_eq!(items("a"), [vec![line(1, "a")]]);
    assert_eq!(items("a\r\n\n  b \n"), [vec![line(1, "a"), line(3, "b")]]);
    assert_eq!(cut(b"a\n\n", &[]).1, 2);
    assert_eq!(cut(b"a\n\nb", &[]).1, 3);
}

#[test]
fn chunk_ends_by_lines_or_bytes() {
    assert_eq!(items("1\n2\n3\n4\n5\n"), [(1..=4).map(|n| line(n, &n.to_string())).collect(), vec![line(5, "5")]]);
    let twenty = "x".repeat(20);
    assert_eq!(items(&format!("{twenty}\n{twenty}\n{twenty}\nb")).len(), 2);
    // Blank lines are lines; a chunk of nothing else is none, and the next one takes its number.
    let (chunks, lines) = cut(b"\n\n\n\n\na\n", &[]);
    assert_eq!((chunks[0].0, chunks[0].1, chunks.len(), lines), (1, (5, 6), 1, 6));
}

#[test]
fn skips_lines_that_are_too_long() {
    let (fits, long) = ("x".repeat(20), "y".repeat(21));
    assert_eq!(items(&format!("{fits}\n{long}\nb")), [vec![line(1, &fits), (2, None), line(3, "b")]]);
    assert_eq!(items(&long), [vec![(1, None)]]);
    let endless = "z".repeat(10_000);
    assert_eq!(items(&format!("a\n{endless}\nb")), [vec![line(1, "a"), (2, None)], vec![line(3, "b")]]);

    let mut cutter = ChunkSplitter::new(SIZE, RequestDigest::of(&Method::POST, "/"));
    for _ in 0..1_000 {
        assert!(cutter.take(&mut "y".repeat(100).as_bytes()).is_none());
    }
    let chunk = cutter.finish().unwrap();
    assert_eq!(chunk.items, [(1, Line::TooLong)]);
    assert_eq!(chunk.text(&(0..1)), b"");
}

#[test]
fn resumes_at_the_first_line_outside_complete_chunks() {
    let mut cutter = ChunkSplitter::new(SIZE, RequestDigest::of(&Method::POST, "/"));
    assert_eq!(cutter.first_open_line(), 1);
    assert!(cutter.take(&mut &b"1\n2\n"[..]).is_none());
    assert_eq!(cutter.first_open_line(), 1);
    assert!(cutter.take(&mut &b"3\n4\n5"[..]).is_some());
    assert_eq!(cutter.first_open_line(), 5);
}

#[test]
fn chunk_digest_covers_every_byte() {
    let digest = |body: &str| cut(body.as_bytes(), &[]).0[0].3;
    assert_eq!(digest("a\nb"), digest("a\nb\n"));
    for (one, other) in [("a\nb", "a\nc"), ("a\nb", "ab"), ("a\nb", "a\n\nb"), ("a", " a"), ("a", "a\r")] {
        assert_ne!(digest(one), digest(other), "{one:?} {other:?}");
    }
    let long = |end: &str| format!("{}{end}", "y".repeat(50));
    assert_ne!(digest(&long("a")), digest(&long("b")));
    let of = |source: &str| {
        let mut cutter = ChunkSplitter::new(SIZE, RequestDigest::of(&Method::POST, "/").with(source));
        cutter.take(&mut &b"a"[..]);
        cutter.finish().unwrap().digest()
    };
    assert_ne!(of("shop"), of("mail"));
}

#[test]
fn keys_of_later_chunks_are_invalid_for_callers() {
    let mut cutter = ChunkSplitter::new(SIZE, RequestDigest::of(&Method::POST, "/"));
    let mut body = &b"1\n2\n3\n4\n5\n6\n7\n8\n"[..];
    let keys: Vec<String> =
        std::iter::from_fn(|| cutter.take(&mut body)).map(|chunk| idempotency("k", &chunk).key).collect();
    assert_eq!(keys, ["k", "k 2"]);
}

proptest! {
    /// However the network cuts a body, its chunks are the same, and hold what its lines are.
    #[test]
    fn chunks_depend_on_the_bytes_alone(
        lines in prop::collection::vec("[ a-c\r]{0,24}", 0..30),
        pieces in prop::collection::vec(1..40_usize, 1..20),
        ends in any::<bool>(),
    ) {
        let mut body = lines.join("\n");
        if ends {
            body.push('\n');
        }
        let (whole, count) = cut(body.as_bytes(), &[]);
        prop_assert_eq!(&cut(body.as_bytes(), &pieces).0, &whole);
        let found: Vec<_> = whole.iter().flat_map(|(_, _, items, _)| items.clone()).collect();
        let expected: Vec<_> = body
            .split('\n')
            .zip(1..)
            .filter(|(line, _)| line.len() > 20 || !line.trim().is_empty())
            .map(|(line, number)| (number, (line.len() <= 20).then(|| line.trim().to_owned())))
            .collect();
        prop_assert_eq!(found, expected);
        let lines = body.split('\n').count() - usize::from(body.is_empty() || body.ends_with('\n'));
        prop_assert_eq!(count, lines as u64);
        for pair in whole.windows(2) {
            prop_assert!(pair[0].1.1 < pair[1].1.0 && pair[0].0 + 1 == pair[1].0);
        }
    }
}

#[test]
fn ignores_byte_order_marks() {
    let mut cutter = ChunkSplitter::new(Size { line_bytes: 200, ..SIZE }, RequestDigest::of(&Method::POST, "/"));
    let item = r#"{"id": "1", "external_campaign_id": "a", "type": "click", "occurred_at": "2026-11-21T21:00:00Z"}"#;
    let body = format!("\u{feff}{item}\r\n");
    assert!(cutter.take(&mut body.as_bytes()).is_some_and(|chunk| {
        let (_, line) = &chunk.items[0];
        super::read(&chunk, line, &mut Rounding::default()).is_ok()
    }));
}
