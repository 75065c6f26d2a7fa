/* What kind of network an address belongs to. No I/O. */
#ifndef HF_OS_ADDRESS_H
#define HF_OS_ADDRESS_H

struct sockaddr;

enum hf_address_kind {
    HF_ADDRESS_PUBLIC,
    HF_ADDRESS_PRIVATE,    /* and everything else that the public Internet does not route */
    HF_ADDRESS_LINK_LOCAL, /* the same cable */
    HF_ADDRESS_LOOPBACK,   /* this very device; 0.0.0.0 and :: lead there too */
};

/**
 * By the registries of special-purpose addresses (RFC 6890 and its updates). An IPv4 address inside
 * an IPv6 one (mapped, compatible, NAT64, 6to4) counts as what it is. An address of another family
 * is HF_ADDRESS_LOOPBACK: the kind that the fewest rules let through.
 */
enum hf_address_kind hf_address_kind(const struct sockaddr *address);

#endif
