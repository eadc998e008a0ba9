import { Get } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { z } from 'zod';
import { OperatorsApi } from './operators-api.decorator.js';

/**
 * What Twilio's error codes mean, in our own words. Source: https://www.twilio.com/docs/api/errors. The texts are for
 * people only: they change, so no decision depends on them.
 */
export const ERROR_CODES: Readonly<Record<string, string>> = {
  '20429': 'Too many requests to Twilio at once. It was not sent, and is retried.',
  '21211': 'The recipient is not a valid phone number.',
  '21408':
    'Your account may not send SMS to this country. Allow it in the Geo Permissions of the Twilio Console.',
  '21606': 'The sender is not a number of your account that can send SMS to this recipient.',
  '21610': 'The person has opted out of your SMS by answering STOP.',
  '21611': 'The sender’s queue at Twilio is full. Send through more numbers, or more slowly.',
  '21612': 'This sender cannot reach this recipient by SMS.',
  '21614': 'The recipient’s number is not a mobile number.',
  '21617': 'The text is longer than 1600 characters.',
  '30001': 'The sender’s queue at Twilio overflowed.',
  '30002': 'Your Twilio account was suspended. Look at the Console.',
  '30003': 'The telephone was switched off or out of reach.',
  '30004': 'The recipient’s network has blocked the SMS.',
  '30005': 'The number is not in use, or its network does not know it.',
  '30006': 'The number is a landline, or its network takes no SMS.',
  '30007': 'A network has filtered the SMS as unwanted.',
  '30008': 'The network refused the SMS and did not say why.',
  '30017': 'The recipient’s network is overloaded.',
  '30034': 'The sender’s US number is not registered (A2P 10DLC). Register it in the Twilio Console.',
  '30036': 'The SMS was not delivered within its validity period.',
  '30450': 'Twilio has blocked the SMS as suspected fraud (SMS pumping).',
  '63003': 'The recipient’s WhatsApp account is inactive or invalid.',
  '63005': 'WhatsApp does not take this content.',
  '63013': 'The message breaks a policy of WhatsApp. Change the text or the template.',
  '63014': 'The person has blocked you, or opted out. Do not try another way.',
  '63015': 'The WhatsApp sandbox: the person has not joined it, or left it.',
  '63016': 'More than 24 hours since the person last wrote: only a template may be sent.',
  '63018': 'WhatsApp’s limit of messages per second was exceeded. Send more slowly.',
  '63021': 'WhatsApp does not take the content of this message.',
  '63024': 'The person is not on WhatsApp, has too old a version, or has not agreed to its terms.',
  '63027': 'There is no such template in this language.',
  '63028': 'The template and the message have different numbers of variables.',
  '63030': 'A parameter does not fit this kind of WhatsApp message.',
  '63032': 'WhatsApp limits messages to this person for now.',
  '63040': 'WhatsApp has rejected the template.',
  '63041': 'WhatsApp has paused the template, because people did not like it.',
  '63042': 'WhatsApp has switched the template off.',
  '63049': 'Meta chose not to deliver this marketing message to this person.',
  '63051': 'Your WhatsApp sender is blocked. Look at the WhatsApp Manager.',
  '63112': 'Meta has switched off or not verified your WhatsApp business account.',
};

const errorCodeList = z.object({
  items: z.array(
    z.object({ code: z.string(), meaning: z.string().describe('what happened, and what to do about it') }),
  ),
});

@OperatorsApi('error-codes', 'Statistics')
export class ErrorCodesController {
  @Get()
  @ApiOperation({ summary: 'List the error codes that matter for WhatsApp and SMS, with their meanings' })
  @ApiOkResponse({ standardSchema: errorCodeList })
  list(): z.output<typeof errorCodeList> {
    return { items: Object.entries(ERROR_CODES).map(([code, meaning]) => ({ code, meaning })) };
  }
}
