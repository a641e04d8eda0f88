//! The files OPTIONS and IDENTITY.
