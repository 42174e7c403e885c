/*
 * Models of arbitrary bytes: what is read has a name, a version and statements
 * that stay within its text; what is not names a line of it. Nothing is written anywhere.
 */
#include "projections/model.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_model(const stele_model *model)
{
    const char *end = model->text.data + model->text.size;

    require(stele_model_name(model) && *stele_model_name(model) && stele_model_version(model) > 0);
    require(model->sections.count > 0 && model->types.count >= model->sections.count);
    for (size_t i = 0; i < model->statements.count; i++) {
        const struct model_statement *statement = stele__model_statement(model, i);

        require(statement->sql.data >= model->text.data && statement->sql.data + statement->sql.size <= end);
        for (size_t k = 0; k < statement->parameter_count; k++)
            require(statement->parameters[k].at >= model->text.data && statement->parameters[k].at < end);
    }
}

static void check_fault(stele_status status, const stele_error *error, size_t lines)
{
    const char *line = stele_error_get(error, "line");

    require(status == STELE_MALFORMED || status == STELE_LIMIT);
    require(line || status == STELE_LIMIT);
    require(!line || (strtoul(line, NULL, 10) >= 1 && strtoul(line, NULL, 10) <= lines));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const struct stele_slice text = {(const char *)bytes, size};
    stele_model *model = NULL;
    stele_error *error = NULL;
    size_t lines = 1;
    stele_status status;

    for (size_t i = 0; i < size; i++)
        lines += bytes[i] == '\n';
    status = stele_model_parse(text, "fuzz.sql", &model, &error);
    require((status == STELE_OK) == (error == NULL));
    if (status == STELE_OK)
        check_model(model);
    else
        check_fault(status, error, lines);
    stele_model_free(model);
    stele_error_free(error);
    return 0;
}
