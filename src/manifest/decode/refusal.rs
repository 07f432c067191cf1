//! What ends an attempt: a type that does not take a value.

use std::fmt;

use serde::de::{Expected, Unexpected};

use crate::manifest::fault::Fault;
use crate::manifest::node::Node;

/// Why a type did not take a value, and the innermost place it happened at.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) message: String,
    pub(super) place: Option<Box<(*const Node, Fault)>>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

/// The messages leave out what the file says there: they go into status files.
impl serde::de::Error for Refusal {
    fn custom<M: fmt::Display>(_: M) -> Self {
        Refusal { message: "the field does not take this value".to_owned(), place: None }
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Refusal { message: format!("expected {}", plain_words(&expected.to_string())), place: None }
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Refusal::invalid_type(Unexpected::Unit, expected)
    }
}

/// Kubernetes' type names are not everybody's.
pub(super) fn plain_words(expected: &str) -> &str {
    match expected {
        "Quantity" => "a quantity such as 500m or 64Mi",
        "IntOrString" => "a whole number or a string",
        "Time" => "a time such as 2030-01-31T12:00:00Z",
        "MicroTime" => "a time such as 2030-01-31T12:00:00.000000Z",
        other => other,
    }
}
