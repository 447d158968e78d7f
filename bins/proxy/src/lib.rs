//! Placeholder until the first route lands.
