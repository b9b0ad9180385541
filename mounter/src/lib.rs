//! Put a served address at a path; enter a root; run a command there.
