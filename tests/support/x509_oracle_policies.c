/* The oracle's certificate policies: RFC 5280, 6.1, with any policy as user-initial-policy-set. */
#include "tests/support/x509_oracle_parts.h"

#include <openssl/objects.h>

#include <stdlib.h>

#define NODES_MAX 256
#define EXPECTED_MAX 24

struct node {
    bool is_deleted;
    int64_t depth;
    struct node *parent;
    const ASN1_OBJECT *valid_policy;
    const ASN1_OBJECT *expected_policy_set[EXPECTED_MAX];
    size_t n_expected;
};

struct oracle_policies {
    int64_t n, explicit_policy, inhibit_any_policy, policy_mapping;
    bool is_tree_null, is_full;
    size_t n_nodes;
    struct node nodes[NODES_MAX];
};

static bool is_same(const ASN1_OBJECT *a, const ASN1_OBJECT *b)
{
    return OBJ_cmp(a, b) == 0;
}

static bool is_any(const ASN1_OBJECT *policy)
{
    return OBJ_obj2nid(policy) == NID_any_policy;
}

static bool expects(const struct node *node, const ASN1_OBJECT *policy)
{
    for (size_t i = 0; i < node->n_expected; i++)
        if (is_same(node->expected_policy_set[i], policy))
            return true;
    return false;
}

static void expect(struct oracle_policies *p, struct node *node, const ASN1_OBJECT *policy)
{
    if (node->n_expected == EXPECTED_MAX)
        p->is_full = true;
    else
        node->expected_policy_set[node->n_expected++] = policy;
}

/** A node without expected policies; NULL: there is no room. */
static struct node *grow(struct oracle_policies *p, struct node *parent, const ASN1_OBJECT *policy)
{
    if (p->n_nodes == NODES_MAX) {
        p->is_full = true;
        return NULL;
    }
    struct node *node = &p->nodes[p->n_nodes++];
    *node = (struct node){.depth = parent == NULL ? 0 : parent->depth + 1,
                          .parent = parent,
                          .valid_policy = policy};
    return node;
}

static void grow_child(struct oracle_policies *p, struct node *parent, const ASN1_OBJECT *policy)
{
    struct node *node = grow(p, parent, policy);
    if (node != NULL)
        expect(p, node, policy);
}

static bool has_child(const struct oracle_policies *p, const struct node *node,
                      const ASN1_OBJECT *policy)
{
    for (size_t i = 0; i < p->n_nodes; i++)
        if (!p->nodes[i].is_deleted && p->nodes[i].parent == node &&
            (policy == NULL || is_same(p->nodes[i].valid_policy, policy)))
            return true;
    return false;
}

/** Delete nodes of a depth of at most `depth` without children, as long as there are any. */
static void prune(struct oracle_policies *p, int64_t depth)
{
    for (; depth >= 0; depth--)
        for (size_t i = 0; i < p->n_nodes; i++)
            if (p->nodes[i].depth == depth && !has_child(p, &p->nodes[i], NULL))
                p->nodes[i].is_deleted = true;
    p->is_tree_null = p->nodes[0].is_deleted;
}

struct oracle_policies *oracle_policies_new(int64_t n)
{
    struct oracle_policies *p = calloc(1, sizeof *p);
    if (p == NULL)
        abort();
    /* 6.1.2 (a), (d) to (f) */
    grow_child(p, NULL, OBJ_nid2obj(NID_any_policy));
    p->n = n;
    p->explicit_policy = p->inhibit_any_policy = p->policy_mapping = n + 1;
    return p;
}

void oracle_policies_free(struct oracle_policies *p)
{
    free(p);
}

bool oracle_policies_is_full(const struct oracle_policies *p)
{
    return p->is_full;
}

/* 6.1.3 (d) (1) */
static void add_policy(struct oracle_policies *p, const ASN1_OBJECT *policy, int64_t i)
{
    const size_t n_before = p->n_nodes;
    bool is_expected = false;
    for (size_t k = 0; k < n_before; k++) {
        struct node *node = &p->nodes[k];
        if (node->is_deleted || node->depth != i - 1 || !expects(node, policy))
            continue;
        is_expected = true;
        grow_child(p, node, policy);
    }
    for (size_t k = 0; !is_expected && k < n_before; k++) {
        struct node *node = &p->nodes[k];
        if (!node->is_deleted && node->depth == i - 1 && is_any(node->valid_policy))
            grow_child(p, node, policy);
    }
}

/* 6.1.3 (d) (2) */
static void add_any_policy(struct oracle_policies *p, int64_t i)
{
    const size_t n_before = p->n_nodes;
    for (size_t k = 0; k < n_before; k++) {
        struct node *node = &p->nodes[k];
        if (node->is_deleted || node->depth != i - 1)
            continue;
        for (size_t e = 0; e < node->n_expected; e++)
            if (!has_child(p, node, node->expected_policy_set[e]))
                grow_child(p, node, node->expected_policy_set[e]);
    }
}

bool oracle_policies_process(struct oracle_policies *p, const struct oracle_cert *cert, int64_t i)
{
    bool has_any = false;

    if (cert->policies == NULL)
        p->is_tree_null = true;
    for (int k = 0; !p->is_tree_null && k < sk_POLICYINFO_num(cert->policies); k++) {
        const ASN1_OBJECT *policy = sk_POLICYINFO_value(cert->policies, k)->policyid;
        if (is_any(policy))
            has_any = true;
        else
            add_policy(p, policy, i);
    }
    if (!p->is_tree_null) {
        if (has_any && (p->inhibit_any_policy > 0 || (i < p->n && oracle_is_self_issued(cert))))
            add_any_policy(p, i);
        prune(p, i - 1);
    }
    return p->explicit_policy > 0 || !p->is_tree_null;
}

bool oracle_policies_begin(struct oracle_policies *p, const struct oracle_cert *anchor)
{
    if (anchor->policies != NULL)
        (void)oracle_policies_process(p, anchor, 1);
    else
        add_any_policy(p, 1);
    return oracle_policies_prepare(p, anchor, 1);
}

/* 6.1.4 (b) (1), for all mappings of one issuerDomainPolicy */
static void map_policy(struct oracle_policies *p, const POLICY_MAPPINGS *mappings,
                       const ASN1_OBJECT *policy, int64_t i)
{
    const size_t n_before = p->n_nodes;
    struct node *any = NULL;
    bool is_there = false;

    for (size_t k = 0; k < n_before; k++) {
        struct node *node = &p->nodes[k];
        if (node->is_deleted || node->depth != i)
            continue;
        if (is_any(node->valid_policy))
            any = node;
        if (!is_same(node->valid_policy, policy))
            continue;
        is_there = true;
        node->n_expected = 0;
        for (int m = 0; m < sk_POLICY_MAPPING_num(mappings); m++)
            if (is_same(sk_POLICY_MAPPING_value(mappings, m)->issuerDomainPolicy, policy))
                expect(p, node, sk_POLICY_MAPPING_value(mappings, m)->subjectDomainPolicy);
    }
    if (is_there || any == NULL)
        return;
    struct node *node = grow(p, any->parent, policy);
    for (int m = 0; node != NULL && m < sk_POLICY_MAPPING_num(mappings); m++)
        if (is_same(sk_POLICY_MAPPING_value(mappings, m)->issuerDomainPolicy, policy))
            expect(p, node, sk_POLICY_MAPPING_value(mappings, m)->subjectDomainPolicy);
}

/* 6.1.4 (b) (2) */
static void delete_policy(struct oracle_policies *p, const ASN1_OBJECT *policy, int64_t i)
{
    for (size_t k = 0; k < p->n_nodes; k++)
        if (p->nodes[k].depth == i && is_same(p->nodes[k].valid_policy, policy))
            p->nodes[k].is_deleted = true;
    prune(p, i - 1);
}

static void lower(int64_t *counter, const ASN1_INTEGER *to)
{
    if (to != NULL && oracle_number(to) < *counter)
        *counter = oracle_number(to);
}

bool oracle_policies_prepare(struct oracle_policies *p, const struct oracle_cert *cert, int64_t i)
{
    for (int m = 0; m < sk_POLICY_MAPPING_num(cert->mappings); m++) {
        const POLICY_MAPPING *mapping = sk_POLICY_MAPPING_value(cert->mappings, m);
        if (is_any(mapping->issuerDomainPolicy) || is_any(mapping->subjectDomainPolicy))
            return false;
    }
    for (int m = 0; !p->is_tree_null && m < sk_POLICY_MAPPING_num(cert->mappings); m++) {
        const ASN1_OBJECT *policy = sk_POLICY_MAPPING_value(cert->mappings, m)->issuerDomainPolicy;
        if (p->policy_mapping > 0)
            map_policy(p, cert->mappings, policy, i);
        else
            delete_policy(p, policy, i);
    }
    if (!oracle_is_self_issued(cert)) {
        p->explicit_policy -= p->explicit_policy > 0;
        p->policy_mapping -= p->policy_mapping > 0;
        p->inhibit_any_policy -= p->inhibit_any_policy > 0;
    }
    if (cert->policy_constraints != NULL) {
        lower(&p->explicit_policy, cert->policy_constraints->requireExplicitPolicy);
        lower(&p->policy_mapping, cert->policy_constraints->inhibitPolicyMapping);
    }
    lower(&p->inhibit_any_policy, cert->inhibit_any);
    return true;
}

bool oracle_policies_wrap_up(struct oracle_policies *p, const struct oracle_cert *cert)
{
    p->explicit_policy -= p->explicit_policy > 0;
    if (cert->policy_constraints != NULL &&
        cert->policy_constraints->requireExplicitPolicy != NULL &&
        oracle_number(cert->policy_constraints->requireExplicitPolicy) == 0)
        p->explicit_policy = 0;
    return p->explicit_policy > 0 || !p->is_tree_null;
}
