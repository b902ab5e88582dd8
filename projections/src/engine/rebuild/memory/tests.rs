use futures_util::FutureExt;

use super::*;

const MIB: usize = KIB * KIB;

fn room(mib: u32) -> MemoryBudget {
    MemoryBudget::of(ReplayMemory::of_mib(mib).expect("within bounds"), SegmentSize::default(), 2)
}

#[test]
fn memory_has_bounds() {
    assert_eq!(ReplayMemory::of_mib(15), None);
    assert_eq!(ReplayMemory::of_mib(16_385), None);
    assert_eq!(ReplayMemory::of_mib(64), Some(ReplayMemory::default()));
    assert_eq!(ReplayMemory::default().to_string(), "64 MiB");
}

#[tokio::test]
async fn page_waits_for_memory() {
    let room = room(16);
    let mut held = Vec::new();
    while let Some(Some(page)) = room.take(room.page_bytes).now_or_never() {
        held.push(page);
    }
    assert_eq!(held.len() * room.page_bytes, 4 * MIB, "a quarter of the memory");
    held.pop();
    assert!(room.take(room.page_bytes + KIB).now_or_never().is_none(), "as much as was given back, and no more");
    assert!(room.take(room.page_bytes).now_or_never().is_some());
}

#[tokio::test]
async fn oversized_page_takes_all_memory() {
    let room = room(16);
    let small = room.take(1).await;
    assert!(room.take(100 * MIB).now_or_never().is_none());
    drop(small);
    let large = room.take(100 * MIB).now_or_never();
    assert!(large.flatten().is_some());
}

#[test]
fn more_memory_allows_more_rows_but_no_larger_pages() {
    let (least, default, most) = (room(16), room(64), room(ReplayMemory::MOST_MIB));
    assert_eq!((least.page_bytes, default.page_bytes, most.page_bytes), (MIB / 2, 2 * MIB, 2 * MIB));
    assert_eq!(default.fold_rows / least.fold_rows, 4);
    assert!(least.fold_rows * 2 * ROW_BYTES <= 8 * MIB, "two logs at once share half of the memory");
}
