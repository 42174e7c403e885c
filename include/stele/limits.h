/*
 * stele/limits.h - every limit of the library, by name.
 *
 * What exceeds one is refused with STELE_LIMIT; the error names the thing, the
 * limit ("limit") and the value found ("actual"). Sizes are bytes of UTF-8.
 */
#ifndef STELE_LIMITS_H
#define STELE_LIMITS_H

#define STELE_STREAM_MAX 1024 /* stream name */
#define STELE_TYPE_MAX 255    /* type name */
#define STELE_ID_MAX 255      /* event id */
#define STELE_SOURCE_MAX 1024 /* source and subject */
#define STELE_SUBJECT_MAX 1024
#define STELE_CORRELATION_MAX 255 /* correlation and causation id */
#define STELE_EXTENSIONS_MAX 32   /* the user's own extension attributes on one message */
#define STELE_EXTENSION_NAME_MAX 20
#define STELE_EXTENSION_VALUE_MAX 1024       /* also datacontenttype and dataschema */
#define STELE_PAYLOAD_DEFAULT (1024 * 1024)  /* payload, unless a store is opened with another limit */
#define STELE_PAYLOAD_MAX (16 * 1024 * 1024) /* payload, whatever is asked for */
#define STELE_BATCH_EVENTS_MAX 10000         /* events in one append */
#define STELE_BATCH_BYTES_MAX (32 * 1024 * 1024)
#define STELE_REJECTION_MAX 4095    /* text with which a remembered command was refused */
#define STELE_NESTING_MAX 64        /* lists and maps inside each other in a payload */
#define STELE_HOPS_MAX 64           /* messages that follow from each other in one unit of work */
#define STELE_EMISSIONS_MAX 1024    /* messages that one call of a handler publishes */
#define STELE_ERRORS_MAX 3          /* ".error" messages that follow from each other */
#define STELE_CHECKPOINT_MAX 255    /* name of a checkpoint */
#define STELE_VERSION_MAX INT64_MAX /* versions and positions */

#define STELE_UPCASTERS_MAX 1024     /* upcasters of one store */
#define STELE_UPCAST_EVENTS_MAX 1024 /* events that the steps of one stored event give, all together */

#endif
