//! The terminal of a session by a name in its view, as tty(1) and all that asks ttyname(3) want one. The view's `/dev/pts` has other
//! terminals, which programs in it make.

use std::path::Path;

use nfs_server::view::{Access, Entry};

use super::defaults::without_replaced;

/// Where the C library looks last, and finds it by its number.
const AT: &str = "/dev/console";

/// Shows a terminal of this machine, unless something else is shown there. Nothing is shown if whoever makes the view knows no such
/// terminal.
pub fn show_console(terminal: &Path, entries: &mut Vec<Entry>) {
    let console = Entry::Graft { at: AT.into(), source: terminal.into(), access: Access::Ro, optional: true };
    entries.append(&mut without_replaced(vec![console], entries));
}

/// Whether that is what is shown at a path: nobody has declared it.
pub(crate) fn is_console(at: &Path) -> bool {
    at == Path::new(AT)
}
