/* The commands of the `holdfast` program; one file each. They return the exit code. */
#ifndef HF_CLIENT_AGENT_AGENT_H
#define HF_CLIENT_AGENT_AGENT_H

/* Exit codes, also in --help. */
enum hf_exit {
    HF_EXIT_OK = 0,
    HF_EXIT_FAILED = 1,
    HF_EXIT_USAGE = 2,
    HF_EXIT_POSTPONED = 3, /* update: a newer bundle waits for a word from the endpoints */
    HF_EXIT_BREAKS = 4,    /* simulate: something breaks on that day */
};

/* argv[0] is the command's own name; `state_dir` is what --state before the command named, or NULL. */
int hf_cmd_init(const char *state_dir, int argc, const char **argv);
int hf_cmd_update(const char *state_dir, int argc, const char **argv);
int hf_cmd_status(const char *state_dir, int argc, const char **argv);
int hf_cmd_journal(const char *state_dir, int argc, const char **argv);
int hf_cmd_simulate(const char *state_dir, int argc, const char **argv);
int hf_cmd_export(const char *state_dir, int argc, const char **argv);
int hf_cmd_run(const char *state_dir, int argc, const char **argv);
int hf_cmd_config(const char *state_dir, int argc, const char **argv);
int hf_cmd_endpoints(const char *state_dir, int argc, const char **argv);
int hf_cmd_confirm(const char *state_dir, int argc, const char **argv);
int hf_cmd_reject(const char *state_dir, int argc, const char **argv);
int hf_cmd_reset(const char *state_dir, int argc, const char **argv);
int hf_cmd_probe(const char *state_dir, int argc, const char **argv);

#endif
