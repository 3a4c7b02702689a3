/*
 * What code built with -fsanitize calls when it is about to do something undefined. Execution goes on after the
 * report. Mirrors Linux lib/ubsan.c.
 */
#include <linux/module.h>

struct source_location { const char *file_name; union { unsigned long reported; struct { u32 line, column; }; }; };
struct type_descriptor { u16 type_kind, type_info; char type_name[]; };
struct out_of_bounds_data { struct source_location location; struct type_descriptor *array_type, *index_type; };
struct shift_out_of_bounds_data { struct source_location location; struct type_descriptor *lhs_type, *rhs_type; };
struct invalid_value_data { struct source_location location; struct type_descriptor *type; };

#define REPORTED_BIT 31
void __ubsan_handle_out_of_bounds(struct out_of_bounds_data *data, void *index);
void __ubsan_handle_shift_out_of_bounds(struct shift_out_of_bounds_data *data, void *lhs, void *rhs);
void __ubsan_handle_load_invalid_value(struct invalid_value_data *data, void *val);

/* Each place reports once. */
static bool was_reported(struct source_location *location)
{
	bool seen = location->column >> REPORTED_BIT;

	location->column |= 1u << REPORTED_BIT;
	return seen;
}

static bool type_is_signed(const struct type_descriptor *type)
{
	return type->type_info & 1;
}

static unsigned int type_bits(const struct type_descriptor *type)
{
	return 1u << (type->type_info >> 1);
}

/* Values up to 64 bits come in the pointer itself. */
static s64 signed_value(const struct type_descriptor *type, void *val)
{
	unsigned int extra = 64 - type_bits(type);

	return (s64)((u64)(unsigned long)val << extra) >> extra;
}

static void val_to_string(char *str, size_t size, const struct type_descriptor *type, void *value)
{
	if (type_bits(type) > 64)
		snprintf(str, size, "<unsupported>");
	else if (type_is_signed(type))
		snprintf(str, size, "%ld", (long)signed_value(type, value));
	else
		snprintf(str, size, "%lu", (unsigned long)value);
}

static void ubsan_prologue(struct source_location *location, const char *reason)
{
	pr_err("========================================"
	       "========================================\n");
	pr_err("UBSAN: %s in %s:%u:%u\n", reason, location->file_name, location->line, location->column & ~(1u << REPORTED_BIT));
}

static noinline void ubsan_epilogue(void)
{
	dump_stack();
	pr_err("========================================"
	       "========================================\n");
	if (panic_on_warn) {
		panic_on_warn = 0;
		panic("panic_on_warn set ...\n");
	}
}

noinline void __ubsan_handle_out_of_bounds(struct out_of_bounds_data *data, void *index)
{
	char index_str[40];

	if (was_reported(&data->location))
		return;
	ubsan_prologue(&data->location, "array-index-out-of-bounds");
	val_to_string(index_str, sizeof(index_str), data->index_type, index);
	pr_err("index %s is out of range for type %s\n", index_str, data->array_type->type_name);
	ubsan_epilogue();
}

noinline void __ubsan_handle_shift_out_of_bounds(struct shift_out_of_bounds_data *data, void *lhs, void *rhs)
{
	const struct type_descriptor *rhs_type = data->rhs_type, *lhs_type = data->lhs_type;
	char rhs_str[40], lhs_str[40];

	if (was_reported(&data->location))
		return;
	ubsan_prologue(&data->location, "shift-out-of-bounds");
	val_to_string(rhs_str, sizeof(rhs_str), rhs_type, rhs);
	val_to_string(lhs_str, sizeof(lhs_str), lhs_type, lhs);
	if (type_is_signed(rhs_type) && signed_value(rhs_type, rhs) < 0)
		pr_err("shift exponent %s is negative\n", rhs_str);
	else if ((unsigned long)rhs >= type_bits(lhs_type))
		pr_err("shift exponent %s is too large for %u-bit type %s\n", rhs_str, type_bits(lhs_type), lhs_type->type_name);
	else if (type_is_signed(lhs_type) && signed_value(lhs_type, lhs) < 0)
		pr_err("left shift of negative value %s\n", lhs_str);
	else
		pr_err("left shift of %s by %s places cannot be represented in type %s\n", lhs_str, rhs_str, lhs_type->type_name);
	ubsan_epilogue();
}

noinline void __ubsan_handle_load_invalid_value(struct invalid_value_data *data, void *val)
{
	char val_str[40];

	if (was_reported(&data->location))
		return;
	ubsan_prologue(&data->location, "invalid-load");
	val_to_string(val_str, sizeof(val_str), data->type, val);
	pr_err("load of value %s is not a valid value for type %s\n", val_str, data->type->type_name);
	ubsan_epilogue();
}
EXPORT_SYMBOL(__ubsan_handle_out_of_bounds);
EXPORT_SYMBOL(__ubsan_handle_shift_out_of_bounds);
EXPORT_SYMBOL(__ubsan_handle_load_invalid_value);
