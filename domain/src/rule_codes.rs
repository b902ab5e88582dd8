//! Stable codes for the rules of the domain: what a receipt stores and what a caller sees.

/// Implements `code`, exhaustive over the variants of an error, and `CODES`, the list of all codes.
macro_rules! rule_codes {
    ($error:ident { $($rule:pat => $code:literal,)+ }) => {
        impl $error {
            /// The codes of all rules.
            pub const CODES: &'static [&'static str] = &[$($code),+];

            /// The stable code of the rule.
            pub fn code(&self) -> &'static str {
                match self { $($rule => $code),+ }
            }
        }
    };
}

pub(crate) use rule_codes;
