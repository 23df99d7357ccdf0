//! Every built-in filter, balancer and sink: one folder each.
