/* The maxima of reports, each with its unit and its reason. */
#ifndef HF_COMMON_REPORT_LIMITS_H
#define HF_COMMON_REPORT_LIMITS_H

#define HF_REPORT_BYTES_MAX 4096u /* of one report as JSON: every member at its longest is 3,200 */
#define HF_REPORT_LIST_MAX 50u    /* reports of one request: less than the 64 that a device keeps */
#define HF_REPORT_BODY_MAX (HF_REPORT_LIST_MAX * HF_REPORT_BYTES_MAX) /* bytes of a request */
/* Memory of the parsed form, at most BASE and so many times its bytes. Real reports need 11
 * times. */
#define HF_REPORT_HEAP_BASE (16u * 1024u)
#define HF_REPORT_HEAP_PER_BYTE 16u

#define HF_REPORT_TEXT_MAX 500       /* bytes of a reason: a sentence (HF_WHY_MAX), cut */
#define HF_REPORT_WORD_MAX 32        /* bytes of a kind, an outcome and an agent's version */
#define HF_REPORT_ENDPOINT_MAX 272   /* bytes: "mqtts://" and HF_ENDPOINT_TEXT */
#define HF_REPORT_ROOT_NAME_MAX 256  /* bytes: HF_DN_TEXT_MAX */
#define HF_REPORT_PROBLEM_MAX 16384u /* bytes of an answer of any status: a page that says no */
#define HF_REPORT_ANSWER_MAX 1024u   /* bytes of the answer: two numbers and a nonce */

#endif
