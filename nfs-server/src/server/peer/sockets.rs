//! Whose a socket is, from macOS's table of TCP sockets (`net.inet.tcp.pcblist_n`): a pure reading of its bytes.
//!
//! The table is a header, then for each socket several records one behind the other, each with its length and kind and
//! padded to eight bytes, then a trailer like the header (`bsd/netinet/in_pcblist.c`). The layouts are those of
//! `xinpcb_n` in `bsd/netinet/in_pcb.h` and `xsocket_n` in `bsd/sys/socketvar.h`, packed to four bytes.

use std::net::{Ipv4Addr, SocketAddrV4};

/// Length of the header (`struct xinpgen`).
const HEADER: usize = 24;
/// What the table pads its records to.
const ALIGNMENT: usize = 8;

/// Kind of the record with a socket's addresses (`XSO_INPCB`).
const ADDRESSES: u32 = 0x10;
/// Kind of the record with its owner, which follows (`XSO_SOCKET`).
const SOCKET: u32 = 0x01;

/// Places in the record with addresses. Ports and addresses are in network order; an IPv4 address is the end of 16 bytes.
const FOREIGN_PORT: usize = 16;
const LOCAL_PORT: usize = 18;
const VERSION: usize = 44;
const FOREIGN_ADDRESS: usize = 60;
const LOCAL_ADDRESS: usize = 76;
/// The flag of a socket of IP version 4 (`INP_IPV4`).
const IPV4: u8 = 0x1;

/// Places in the record with the owner, whose numbers are in the machine's own order.
const SOCKET_ADDRESS: usize = 8;
const LAST_PROCESS: usize = 68;

/// Who made a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SocketOwner {
    /// The kernel, for itself: no process ever used it (`sock_socket` of `bsd/kern/kpi_socket.c`).
    Kernel,
    /// A process, the one that used it last.
    Process(u32),
}

/// The owner of the socket that is `local` and connected to `foreign`. `None` when the table has none, or says nothing
/// of its owner: what cannot be read counts as not there.
pub(super) fn owner(table: &[u8], local: SocketAddrV4, foreign: SocketAddrV4) -> Option<SocketOwner> {
    let mut records = TableRecords(table.get(HEADER..)?);
    records.find(|record| record.kind == ADDRESSES && record.connects(local, foreign))?;
    let mut rest = records.take_while(|record| record.kind != ADDRESSES);
    let socket = rest.find(|record| record.kind == SOCKET)?;
    // Of addresses that no socket has any more the record is empty but for its head.
    if socket.bytes.get(SOCKET_ADDRESS..SOCKET_ADDRESS + 8)? == [0; 8] {
        return None;
    }
    match u32::from_ne_bytes(socket.field(LAST_PROCESS)?) {
        0 => Some(SocketOwner::Kernel),
        process => Some(SocketOwner::Process(process)),
    }
}

/// The records of a table that are whole.
struct TableRecords<'a>(&'a [u8]);

struct Record<'a> {
    kind: u32,
    bytes: &'a [u8],
}

impl<'a> Iterator for TableRecords<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        let head = Record { kind: 0, bytes: self.0 };
        let length = usize::try_from(u32::from_ne_bytes(head.field(0)?)).ok()?;
        let kind = u32::from_ne_bytes(head.field(4)?);
        // A record that is shorter than its own head would be met for ever.
        let bytes = self.0.get(..length).filter(|bytes| bytes.len() >= 8)?;
        self.0 = self.0.get(length.checked_next_multiple_of(ALIGNMENT)?..).unwrap_or_default();
        Some(Record { kind, bytes })
    }
}

impl Record<'_> {
    fn field<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.bytes.get(at..)?.first_chunk().copied()
    }

    fn connects(&self, local: SocketAddrV4, foreign: SocketAddrV4) -> bool {
        let address = |address, port| {
            let address = Ipv4Addr::from(self.field::<4>(address)?);
            Some(SocketAddrV4::new(address, u16::from_be_bytes(self.field(port)?)))
        };
        self.field::<1>(VERSION).is_some_and(|[version]| version & IPV4 != 0)
            && address(LOCAL_ADDRESS, LOCAL_PORT) == Some(local)
            && address(FOREIGN_ADDRESS, FOREIGN_PORT) == Some(foreign)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A table as the kernel of macOS 15 writes it.
    pub(in super::super) struct Table(Vec<u8>);

    impl Table {
        pub(in super::super) fn new() -> Table {
            Table(record(0, HEADER, &[]))
        }

        /// Adds one socket with all its records.
        pub(in super::super) fn socket(
            mut self,
            local: SocketAddrV4,
            foreign: SocketAddrV4,
            process: u32,
        ) -> Table {
            let addresses = [
                (FOREIGN_PORT, foreign.port().to_be_bytes().to_vec()),
                (LOCAL_PORT, local.port().to_be_bytes().to_vec()),
                (VERSION, vec![IPV4]),
                (FOREIGN_ADDRESS, foreign.ip().octets().to_vec()),
                (LOCAL_ADDRESS, local.ip().octets().to_vec()),
            ];
            let socket = [
                (SOCKET_ADDRESS, 0xdead_beef_u64.to_ne_bytes().to_vec()),
                (LAST_PROCESS, process.to_ne_bytes().to_vec()),
            ];
            self.0.extend(record(ADDRESSES, 104, &addresses));
            self.0.extend(record(SOCKET, 104, &socket));
            for (kind, length) in [(0x02, 32), (0x04, 32), (0x08, 136), (0x20, 204)] {
                self.0.extend(record(kind, length, &[]));
            }
            self
        }

        pub(in super::super) fn bytes(mut self) -> Vec<u8> {
            self.0.extend(record(0, HEADER, &[]));
            self.0
        }
    }

    fn record(kind: u32, length: usize, fields: &[(usize, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = vec![0; length.next_multiple_of(ALIGNMENT)];
        bytes[..4].copy_from_slice(&(length as u32).to_ne_bytes());
        bytes[4..8].copy_from_slice(&kind.to_ne_bytes());
        for (at, field) in fields {
            bytes[*at..at + field.len()].copy_from_slice(field);
        }
        bytes
    }

    fn local(port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)
    }

    fn sample() -> Vec<u8> {
        let server = local(2049);
        let table = Table::new().socket(server, local(50_000), 77).socket(local(50_000), server, 0);
        table.socket(local(50_001), server, 4711).bytes()
    }

    #[test]
    fn a_sample_has_the_lengths_that_the_kernel_writes() {
        // 104 + 104 + 32 + 32 + 136 + 208 bytes for each socket, and 24 before and behind them.
        assert_eq!(sample().len(), 24 + 3 * 616 + 24);
    }

    #[test]
    fn the_clients_side_of_a_connection_tells_its_owner() {
        let (table, server) = (sample(), local(2049));
        assert_eq!(owner(&table, local(50_000), server), Some(SocketOwner::Kernel));
        assert_eq!(owner(&table, local(50_001), server), Some(SocketOwner::Process(4711)));
        assert_eq!(owner(&table, server, local(50_000)), Some(SocketOwner::Process(77)), "the other side");
    }

    #[test]
    fn a_connection_that_is_not_in_the_table_has_no_owner() {
        let (table, server) = (sample(), local(2049));
        assert_eq!(owner(&table, local(50_002), server), None);
        assert_eq!(owner(&table, SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 2), 50_000), server), None);
        assert_eq!(owner(&[], local(50_000), server), None);
    }

    #[test]
    fn addresses_that_no_socket_has_any_more_have_no_owner() {
        let mut table = sample();
        let socket = HEADER + 616 + 104;
        table[socket + SOCKET_ADDRESS..socket + SOCKET_ADDRESS + 8].fill(0);
        assert_eq!(owner(&table, local(50_000), local(2049)), None);
    }

    #[test]
    fn the_owner_of_the_next_socket_is_not_taken_for_this_ones() {
        let mut table = sample();
        // Without a record of kind SOCKET.
        table[HEADER + 616 + 104 + 4] = 0x40;
        assert_eq!(owner(&table, local(50_000), local(2049)), None);
    }

    #[test]
    fn a_socket_of_ip_version_6_is_another() {
        let mut table = sample();
        table[HEADER + 616 + VERSION] = 0x2;
        assert_eq!(owner(&table, local(50_000), local(2049)), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_an_end(table in prop::collection::vec(any::<u8>(), 0..2000)) {
            prop_assert_eq!(owner(&table, local(50_000), local(2049)), None);
        }

        #[test]
        fn a_table_that_is_cut_or_changed_never_makes_a_process_the_kernel(
            cut in 0..2000_usize,
            // Not in the number of the process itself.
            changed in 0..2000_usize,
            to in any::<u8>(),
        ) {
            let mut table = sample();
            let number = HEADER + 2 * 616 + 104 + LAST_PROCESS;
            if let Some(byte) = table.get_mut(changed)
                && !(number..number + 4).contains(&changed)
            {
                *byte = to;
            }
            table.truncate(cut);
            prop_assert_ne!(owner(&table, local(50_001), local(2049)), Some(SocketOwner::Kernel));
        }
    }
}
