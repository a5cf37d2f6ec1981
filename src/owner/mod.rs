//! Who the owner is: e-mail and password.
