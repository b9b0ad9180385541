//! What quotas count, one step after the other.

use super::*;

fn counters(blocks: u64) -> QuotaCounters {
    QuotaCounters::new(Quota { bytes: Some(blocks * BLOCK), inodes: Some(9) }).unwrap()
}

fn left(quota: &QuotaCounters) -> u64 {
    quota.bytes().unwrap().left / BLOCK
}

/// A file of so many blocks.
fn file(blocks: u64) -> OwnedFd {
    let file = tempfile::tempfile().unwrap();
    file.set_len(blocks * BLOCK).unwrap();
    file.into()
}

#[test]
fn nothing_is_counted_where_nothing_is_limited() {
    assert!(QuotaCounters::new(Quota::default()).is_none());
    let inodes = QuotaCounters::new(Quota { bytes: None, inodes: Some(1) }).unwrap();
    assert_eq!(inodes.reserve(&FileBlocks::of_size(0), u64::MAX).end, u64::MAX, "bytes are not limited");
    assert_eq!(inodes.bytes(), None);
}

#[test]
fn of_two_quotas_each_limit_is_the_lower_one() {
    let quota = |bytes, inodes| Quota { bytes, inodes };
    let one = quota(Some(5), None);
    assert_eq!(one.stricter(quota(Some(3), Some(7))), quota(Some(3), Some(7)));
    assert_eq!(one.stricter(quota(None, None)), one);
    assert_eq!(one.stricter(quota(Some(9), None)), one);
}

#[test]
fn what_a_write_did_not_need_is_given_back() {
    let quota = counters(10);
    let blocks = FileBlocks::of_size(0);
    let reservation = quota.reserve(&blocks, 8 * BLOCK);
    assert_eq!(left(&quota), 3);
    quota.settle(&blocks, reservation, &file(2));
    assert_eq!(left(&quota), 9);
    let reservation = quota.reserve(&blocks, 50 * BLOCK);
    assert_eq!((reservation.end, left(&quota)), (11 * BLOCK, 0), "as much as there is");
    quota.settle(&blocks, reservation, &file(2));
    assert_eq!(left(&quota), 9);
}

#[test]
fn a_write_that_meets_a_truncation_counts_what_the_file_has_in_the_end() {
    let quota = counters(10);
    let blocks = FileBlocks::of_size(0);
    let reservation = quota.reserve(&blocks, 5 * BLOCK);
    // The truncation came first, and was counted before the write was done.
    quota.resized(&blocks, &file(0));
    assert_eq!(left(&quota), 10);
    quota.settle(&blocks, reservation, &file(5));
    assert_eq!(left(&quota), 6);
}

#[test]
fn a_file_that_is_removed_while_it_is_written_to_counts_no_more() {
    let quota = counters(10);
    quota.new_inode().ok().unwrap().keep();
    let blocks = FileBlocks::of_size(0);
    let reservation = quota.reserve(&blocks, 5 * BLOCK);
    quota.remove(&blocks);
    quota.settle(&blocks, reservation, &file(5));
    quota.resized(&blocks, &file(7));
    quota.remove(&blocks);
    assert_eq!((left(&quota), quota.inodes().unwrap().left), (10, 9));
}

#[test]
fn a_file_that_was_not_made_takes_nothing() {
    let quota = counters(1);
    drop(quota.new_inode().ok().unwrap());
    quota.new_inode().ok().unwrap().keep();
    assert_eq!((left(&quota), quota.inodes().unwrap().left), (0, 8));
    assert!(quota.new_inode().is_err());
    assert_eq!(quota.inodes().unwrap().left, 8, "no inode is lost where there is no block");
    assert!(!quota.usage().is_met(), "nobody was refused yet");
    assert_eq!(quota.new_inode().err().unwrap().error(), Error::NoSpace);
    assert_eq!(quota.usage().bytes_refused, 1);
}

#[test]
fn a_limit_of_more_than_there_can_be_is_none() {
    let quota = QuotaCounters::new(Quota { bytes: Some(u64::MAX), inodes: Some(u64::MAX) }).unwrap();
    assert!(quota.new_inode().is_ok());
    let reservation = quota.reserve(&FileBlocks::of_size(0), u64::MAX);
    assert_eq!(reservation.end, u64::MAX);
}

#[test]
fn a_new_file_with_the_number_of_one_that_went_is_counted_from_its_beginning() {
    let quota = counters(10);
    let blocks = FileBlocks::of_size(0);
    for _ in 0..2 {
        quota.new_inode().ok().unwrap().keep();
        blocks.begin(&FileBlocks::of_size(0));
        assert_eq!(quota.reserve(&blocks, 3 * BLOCK).end, 3 * BLOCK);
        assert_eq!(left(&quota), 7);
        quota.remove(&blocks);
        assert_eq!(left(&quota), 10);
    }
}

#[test]
fn a_file_that_is_shorter_than_it_counts_gives_back_no_more_than_was_taken() {
    let quota = counters(10);
    let blocks = FileBlocks::of_size(5 * BLOCK);
    let growth = quota.reserve(&blocks, 9 * BLOCK);
    quota.settle(&blocks, growth, &file(3));
    let most = quota.reserve(&FileBlocks::of_size(0), 99 * BLOCK);
    assert_eq!(most.end, 11 * BLOCK, "the ten that there are, and the one that it has");
}

#[test]
fn a_quota_is_met_by_bytes_or_by_inodes() {
    let usage = QuotaUsage::default();
    assert!(!usage.is_met());
    assert!(QuotaUsage { bytes_refused: 1, ..usage }.is_met());
    assert!(QuotaUsage { inodes_refused: 1, ..usage }.is_met());
}
